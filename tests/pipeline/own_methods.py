"""Methods of a user's own, for tests: one whose code is wrong, one whose loss explodes."""

from __future__ import annotations

from typing import Any

from imgid_audit.vision.treatment import PlainLoss, Treatment


class Raises:
    """A method with a defect."""

    name = "raises"
    summary = "raises while it trains"
    source = "none"
    acts_on = ("sampler",)
    needs = ("class labels",)

    def build(self, _params: Any, _ask: Any) -> Treatment:
        def rows(*_: Any) -> Any:
            raise KeyError("a defect of mine")

        return Treatment(rows=rows)


class Explodes(Raises):
    """A method whose loss is infinite."""

    name = "explodes"
    acts_on = ("loss",)

    def build(self, _params: Any, _ask: Any) -> Treatment:
        class Loss(PlainLoss):
            def __call__(self, batch: Any) -> Any:
                return batch.logits.sum(dim=1) * float("inf")

        return Treatment(loss=lambda _material: Loss())


class Slow(Raises):
    """A method during whose training the user stops."""

    acts_on = ("loss",)
    stop: Any = None

    def build(self, _params: Any, _ask: Any) -> Treatment:
        def make(_material: Any) -> Any:
            if Slow.stop is not None:
                raise Slow.stop
            from imgid_audit.vision.objective import CrossEntropy

            return CrossEntropy()

        return Treatment(loss=make)
