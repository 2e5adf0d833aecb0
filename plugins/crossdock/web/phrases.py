"""What crossdock says of rows and refusals, in Chinese. Reasons are on record in English; pages say them to the reader.

A sentence that is none of these, such as one that a contract's author wrote, is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache

_REFUSALS = {
    "The agreement is about dataset '{}', not '{}'.": "协议针对的数据集是“{}”，不是“{}”。",
    "The agreement's provider '{}' is not the dataset's department.": "协议的提供部门“{}”不是该数据集的部门。",
    "A publication, and only a publication, is delivered openly.": "只有开放协议才能公开交付，开放协议也只能公开交付。",
    "The agreement is not approved: its status is '{}'.": "协议未获批准：其状态为“{}”。",
    "The agreement is not valid before {}.": "协议自 {} 起生效，尚未生效。",
    "The agreement expired at {}.": "协议已于 {} 到期。",
    "The contract is not in force: its status is '{}'.": "数据合同未生效：其状态为“{}”。",
    "The contract's sharing class is 'none': the dataset is not shared.": "数据合同的共享类型为“不予共享”，该数据集不共享。",
    "Sensitive, neither protected nor with a legal basis of their own: {}.": "敏感字段既未保护，也无单独的法律依据：{}。",
    "Not classified as public, so not published: {}.": "未定级为公开，不予开放：{}。",
    "The agreement must list its columns, each once.": "协议必须逐一列出字段，且不得重复。",
    "The contract has no column '{}'. {}": "数据合同没有字段“{}”。",
    "There is no delivery format '{}'. {}": "没有交付格式“{}”。",
    "Column '{}' is protected but not among the agreed columns.": "字段“{}”设有保护，但不在约定字段之中。",
    "Mode 'changes' needs a primary key in the contract.": "增量方式需要数据合同有主键。",
    "Mode 'changes' needs key column '{}' among the agreed columns, clear or pseudonymised.": (
        "增量方式要求主键字段“{}”在约定字段之中，且为明文或假名。"
    ),
    "Column '{}' is of type {}; it can only be dropped, or pseudonymised as a whole.": "字段“{}”类型为 {}，只能整体去除或假名化。",
    "Column '{}' is a {}; only text can be masked: pseudonymise, generalise or drop it.": (
        "字段“{}”类型为 {}，只有文本可以掩码：请假名化、泛化或去除。"
    ),
    "Column '{}': a mask cannot keep fewer than 0 characters.": "字段“{}”：掩码保留的字符数不能小于 0。",
    "Column '{}' is a {}, of which there is no dummy: pseudonymise or drop it.": "字段“{}”类型为 {}，没有替身：请假名化或去除。",
    "Column '{}' is a {}; it cannot be generalised to '{}'.": "字段“{}”类型为 {}，不能泛化为“{}”。",
    "Column '{}' has a name that a spreadsheet would run as a formula: deliver another format than CSV.": (
        "字段“{}”的名称会被电子表格当作公式运行；请改用 CSV 以外的格式。"
    ),
    "A delivery by {} has no option '{}'.": "以 {} 方式交付没有选项“{}”。",
    "A delivery by {} needs the option '{}'.": "以 {} 方式交付需要选项“{}”。",
    "The agreement names no proper table.": "协议没有写明合规的表名。",
    "A table or column name is longer than 63 bytes, or the table's begins with {}.": (
        "表名或字段名超过 63 字节，或者表名以 {} 开头。"
    ),
    "The agreement's `path` is no plain relative path.": "协议的 path 不是简单的相对路径。",
    "Column '{}' has check digits: what its protection hides can be worked out. Let it keep fewer characters.": (
        "字段“{}”带校验码，所隐去的部分可以推算出来；请少保留几位。"
    ),
    "It was requested, and has to be reviewed by {}.": "已提出申请，须于 {} 前审核。",
    "The request was rejected: {}": "申请被驳回：{}",
    "The agreement grants one delivery, and that was made on {}.": "协议只准交付一次，已于 {} 交付。",
    "Its frequency is {}: it is due again at {}.": "频率为 {}：下次应于 {} 交付。",
    "It is due.": "现在应当交付。",
    "Agreement version {} is approved until {}.": "协议 {} 版已获批准，有效至 {}。",
    "There is no agreement '{}'.": "没有协议“{}”。",
}
_ROWS = {
    "It is missing.": "缺失。",
    "It is no valid {}.": "不是有效的 {}。",
    "A value stands in it twice.": "其中有重复的值。",
    "The same {} stands in several rows.": "{} 在多行中重复。",
    "It is not one of the {} allowed values.": "不在 {} 个允许的值之中。",
    "It is one of the values that are not allowed.": "是不允许的值。",
    "It does not match the pattern {}.": "不符合格式 {}。",
    "{_} is after {_}.": "{} 晚于 {}。",
    "Its check digit is wrong ({}).": "校验码错误（{}）。",
    "It does not exist in {}.": "在 {} 中不存在。",
    "The newest {} is older than {}.": "最新的 {} 已超过 {}。",
    "It fails {}.": "未通过 {}。",
    "It lacks one of: {}.": "缺少以下之一：{}。",
    "It does not fit {}.": "超出 {} 的范围。",
    "It is no {}.": "不是 {}。",
    "The source lacks a column '{}', which the contract promises.": "数据源缺少数据合同承诺的字段“{}”。",
    "The source lacks {} more columns, which the contract promises.": "数据源还缺少数据合同承诺的 {} 个字段。",
    "The source has a column '{}' that the contract does not know, and its columns are frozen.": (
        "数据源有数据合同未知的字段“{}”，而字段已冻结。"
    ),
    "The source has a column '{}' that the contract does not know: {}.": "数据源有数据合同未知的字段“{}”，未采用。",
    "Every row fails, so the extract is rejected and the last snapshot stays.": "所有行均不合格，整体拒收，沿用上一个快照。",
    "The extract is rejected: more than {_} rows fail.": "整体拒收：超过 {} 行不合格。",
    "The extract is rejected: more than {_} % of the rows fail.": "整体拒收：超过 {} % 的行不合格。",
    "The extract is rejected: more than {_} rows or {_} % of the rows fail.": "整体拒收：超过 {} 行或 {} % 的行不合格。",
    "The extract is rejected: more than {_} rows break {_}.": "整体拒收：超过 {} 行违反 {}。",
    "The extract is rejected: more than {_} % of the rows break {_}.": "整体拒收：超过 {} % 的行违反 {}。",
    "The extract is rejected: more than {_} rows or {_} % of the rows break {_}.": (
        "整体拒收：超过 {} 行或 {} % 的行违反 {}。"
    ),
}
_MEASURED = {
    "It": "数值",
    "Its length": "长度",
    "The number of its items": "项数",
    "The number of its properties": "属性数",
    "The number of rows": "行数",
    "The number of rows that break it": "违反该规则的行数",
    "The result of its query": "查询结果",
}
_BOUNDS = {"at least {}": "不少于 {}", "more than {}": "大于 {}", "at most {}": "不超过 {}", "less than {}": "小于 {}"}


@lru_cache(maxsize=4_096)
def in_chinese(sentence: str) -> str:
    """Returns a sentence of crossdock's in Chinese; any other as it is.

    >>> in_chinese("It is not at least 0 and less than 10.")
    '数值应不少于 0 且小于 10。'
    """
    for pattern, chinese in _patterns():
        found = pattern.fullmatch(sentence)
        if found:
            return chinese.format(*found.groups())
    return sentence


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    wild = {r"\{\}": "(.+?)", r"\{_\}": r"(\S+)"}  # anything, and one word
    found = []
    for english, chinese in _pairs():
        pattern = re.escape(english)
        for hole, matched in wild.items():
            pattern = pattern.replace(hole, matched)
        found.append((re.compile(pattern, re.DOTALL), chinese))
    return tuple(found)


def _pairs() -> Iterator[tuple[str, str]]:
    """Yields sentences in both languages, with holes."""
    low, high = list(_BOUNDS.items())[:2], list(_BOUNDS.items())[2:]
    bounds = [(f"{one} and {other}", f"{eins} 且{zwei}") for one, eins in low for other, zwei in high]
    for what, called in _MEASURED.items():
        for bound, said in [*bounds, *_BOUNDS.items()]:
            yield f"{what} is not {bound}.", f"{called}应{said}。"
    yield from _REFUSALS.items()
    yield from _ROWS.items()
