"""How many tokens a prefill chunk may have, so that it takes as long as it should. No MLX here."""

LEARN_TOKENS = 64  # the rate of a smaller chunk says more about the cost of a forward than of a token
WEIGHT = 0.3  # of the latest chunk
MAX_TOKENS = 2048  # mlx-lm's own step; larger chunks bring nothing


class Pace:
    """Seconds per token, learned for each doubling of the context, since attention makes long ones slower."""

    def __init__(self, rate: float) -> None:
        self._rates = {0: rate}

    def learn(self, tokens: int, context: int, seconds: float) -> None:
        if tokens < LEARN_TOKENS:
            return
        level, rate = context.bit_length(), seconds / tokens
        known = self._rates.get(level)
        self._rates[level] = rate if known is None else known + WEIGHT * (rate - known)

    def rate(self, context: int) -> float:
        level = context.bit_length()
        nearest = min(self._rates, key=lambda known: (abs(known - level), -known))
        return self._rates[nearest]

    def tokens(self, context: int, seconds: float) -> int:
        return max(1, min(MAX_TOKENS, int(seconds / self.rate(context))))
