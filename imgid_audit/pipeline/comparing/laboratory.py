"""Where networks are trained for a comparison: heads on embeddings, or whole networks, behind one face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.comparison import Selected
from imgid_audit.io.kept_networks import KeptNetwork, network_key
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.pipeline.training import Scores


@dataclass(frozen=True, slots=True)
class Setting:
    """What tuning varies besides a method's own parameters."""

    lr: float
    weight_decay: float

    def plain(self) -> dict[str, float]:
        return asdict(self)


class Laboratory(Protocol):
    """Trains networks and tells what they say.

    A network's facts hold `val` (criterion by selection, None where undefined), `images_seen` and, of these,
    `images_shared` with all other networks of the method, `rows_seen`, `tuned` (values that its method chose by
    itself, by selection), `seconds`, and `failed`: why there is no network ('' where there is).
    """

    @property
    def hashes(self) -> Mapping[str, str]:
        """Of everything that all networks are trained from."""
        ...

    @property
    def backbone(self) -> str:
        """What it is, in words."""
        ...

    @property
    def default(self) -> Setting: ...

    @property
    def rows(self) -> Mapping[str, NDArray[np.intp]]:
        """Manifest rows that are used, by split: those that decoded."""
        ...

    @property
    def failed(self) -> Mapping[int, str]:
        """Rows of val, adjust and test that did not decode, with the reason."""
        ...

    def train(self, remedy: Remedy, setting: Setting, seed: int) -> KeptNetwork:
        """A network of `remedy`; raises `InputError` or `DivergedError` where there is none."""
        ...

    def scores(self, network: KeptNetwork, selected: Selected) -> Scores:
        """Probabilities of every manifest row, (n, classes); NaN where it was not asked."""
        ...

    def save(self, network: KeptNetwork, path: Path) -> str:
        """Write the network picked by the declared criterion as an ordinary weights file; its sha256."""
        ...


def key_of(laboratory: Laboratory, remedy: Remedy, setting: Setting, seed: int, protocol: Mapping[str, Any]) -> str:
    """Names one network by all that it is trained from."""
    return network_key(
        {
            "hashes": dict(laboratory.hashes),
            "methods": list(remedy.methods),
            "code": code_hashes(remedy),
            "parameters": remedy.parameters,
            "setting": setting.plain(),
            "seed": seed,
            "protocol": dict(protocol),
        }
    )


def code_hashes(remedy: Remedy) -> dict[str, str]:
    """sha256 of the files that a user's own methods come from: an edited method is another one.

    What such a file imports is not followed.
    """
    import sys

    from imgid_audit.io.content import hash_file

    found = {}
    for method, _ in remedy.parts:
        module = sys.modules.get(method.name.partition(":")[0]) if ":" in method.name else None
        file = getattr(module, "__file__", None)
        if ":" in method.name:
            found[method.name] = hash_file(Path(file)) if file else ""
    return found
