"""How the numbers of a text column are written: how long they are, and whether they are numbers at all."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

_LONGEST_NUMBER = 15  # digits; beyond them spreadsheets and floats lose some, and people mean a code
_CODE_DIGITS = 4
_NUMBER = r"^[+-]?(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?P<power>[eE].*)?$"
_PADDED = r"^(\+|-?0[0-9])"
MOBILE = r"^1[3-9]\d{9}$"
_CODE_NAMES = re.compile(
    r"code|zip|postal|postcode|phone|mobile|fax|passport|account|isbn|xzqh|qhdm|region|division|区划|代码|编码|邮编|电话|手机|号码|证号|编号|账号",
    re.IGNORECASE,
)


@dataclass(slots=True, kw_only=True)
class Digits:
    """How a column's numbers are written."""

    any: bool = False
    whole: int = 0  # most digits before the point
    shortest: int = _LONGEST_NUMBER
    scale: int = 0
    padded: bool = False  # a plus sign or a leading zero
    powers: bool = False
    mobiles: bool = True

    def add(self, numbers: pa.StringArray) -> None:
        """Looks at more numbers, all of which are some."""
        if numbers.null_count == len(numbers):
            return
        parts = pc.extract_regex(numbers, _NUMBER)
        whole, fraction, power = (pc.struct_field(parts, name) for name in ("whole", "fraction", "power"))
        sizes = pc.min_max(pc.utf8_length(whole))
        self.any = True
        self.whole = max(self.whole, sizes["max"].as_py())
        self.shortest = min(self.shortest, sizes["min"].as_py())
        self.scale = max(self.scale, pc.max(pc.utf8_length(fraction)).as_py() or 0)
        self.powers |= bool(pc.any(pc.greater(pc.utf8_length(power), 0)).as_py())
        self.padded |= bool(pc.any(pc.match_substring_regex(numbers, _PADDED)).as_py())
        self.mobiles &= bool(pc.all(pc.match_substring_regex(numbers, MOBILE)).as_py())

    def fit(self, precision: int, scale: int) -> bool:
        """True when an exact number of this precision and scale holds them all."""
        return self.scale <= scale and self.whole <= precision - scale

    def of_a_code(self, name: str) -> bool:
        """True when the digits name something, and count nothing."""
        fixed = self.whole == self.shortest >= _CODE_DIGITS and self.scale == 0
        named = fixed and _CODE_NAMES.search(name) is not None
        exponents_alone = self.powers and self.scale == 0  # 12E3 is a code more often than 12,000
        return self.any and (self.padded or self.whole > _LONGEST_NUMBER or self.mobiles or named or exponents_alone)
