"""What a whole run is: its configuration, its stages in their order, and what it left."""
