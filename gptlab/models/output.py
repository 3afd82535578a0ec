"""What a language model yields for one batch."""

import attrs
from jaxtyping import Float
from torch import Tensor


@attrs.frozen(kw_only=True, eq=False)
class ModelOutput:
    """Losses of one batch, and the logits where they are asked for.

    Attributes:
        loss: mean of `token_losses` over the tokens that have a target, in nats; what a trainer differentiates.
        token_losses: cross-entropy at each token, 0 where it has no target.
        logits: for the token after each; None while the network is in training mode (`network.train()`), where
            they would be the largest array of the step and nobody reads them.
        log_sums: the logarithm of the softmax's sum at each token with a target, where it is asked for (z-loss).
    """

    loss: Float[Tensor, ""]
    token_losses: Float[Tensor, "batch seq"]
    logits: Float[Tensor, "batch seq vocab"] | None = None
    log_sums: Float[Tensor, "batch seq"] | None = None
