"""PC-DARTS (Xu et al. 2020): DARTS on a part of the channels, with weights of the edges."""

from stnas.train.gradient.darts import FirstOrder


class PartiallyConnected(FirstOrder):
    """``node = sum_e softmax(beta)_e shuffle([sum_i a_i o_i(x[:C / K]), x[C / K:]])``.

    alpha and beta move against the gradient of the first order.
    """

    weighs_edges = True
