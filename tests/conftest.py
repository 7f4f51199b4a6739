"""Settings for every test."""

from hypothesis import settings

# The machines that run these tests are shared: a slow example is not a failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
