"""What crossdock says of rows and refusals, in Chinese. Reasons are on record in English; the reader gets them in theirs.

A sentence that is none of these, such as one that a contract's author wrote, is shown as it is. Holes in the English:
`{}` is anything, `{_}` one word; what stands in `{type}`, `{status}`, `{age}`, `{size}` and `{dataset}` is said in Chinese
too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache

_REFUSALS = {
    "The agreement is about dataset '{}', not '{}'.": "协议针对的数据集是“{}”，不是“{}”。",
    "The agreement's provider '{}' is not the dataset's department.": "协议的提供部门“{}”不是该数据集的部门。",
    "A publication, and only a publication, is delivered openly.": "只有开放协议才能公开交付，开放协议也只能公开交付。",
    "The agreement is not approved: its status is '{status}'.": "协议未获批准：其状态为“{}”。",
    "The agreement is not valid before {}, Beijing time.": "协议自 {}（北京时间）起生效，尚未生效。",
    "The agreement expired at {}, Beijing time.": "协议已于 {}（北京时间）到期。",
    "The contract is not in force: its status is '{status}'.": "数据合同未生效：其状态为“{}”。",
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
    "Column '{}' is of type {type}; it can only be dropped, or pseudonymised as a whole.": (
        "字段“{}”类型为{}，只能整体去除或假名化。"
    ),
    "Column '{}' is of type {type}; only text can be masked: pseudonymise, generalise or drop it.": (
        "字段“{}”类型为{}，只有文本可以掩码：请假名化、泛化或去除。"
    ),
    "Column '{}': a mask cannot keep fewer than 0 characters.": "字段“{}”：掩码保留的字符数不能小于 0。",
    "Column '{}' is of type {type}, of which there is no dummy: pseudonymise or drop it.": (
        "字段“{}”类型为{}，没有替身：请假名化或去除。"
    ),
    "Column '{}' is of type {type}; it cannot be generalised to '{}'.": "字段“{}”类型为{}，不能泛化为“{}”。",
    "Column '{}' has a name that a spreadsheet would run as a formula: deliver another format than CSV.": (
        "字段“{}”的名称会被电子表格当作公式运行；请改用其他交付格式。"
    ),
    "A delivery by {} has no option '{}'.": "以 {} 方式交付没有选项“{}”。",
    "A delivery by {} needs the option '{}'.": "以 {} 方式交付需要选项“{}”。",
    "The agreement names no proper table.": "协议没有写明合规的表名。",
    "A table or column name is longer than 63 bytes, or the table's begins with {}.": (
        "表名或字段名超过 63 字节，或者表名以 {} 开头。"
    ),
    "The agreement's `path` is no plain relative path.": "协议的路径不是简单的相对路径。",
    "Column '{}' has check digits: what its protection hides can be worked out. Let it keep fewer characters.": (
        "字段“{}”带校验码，所隐去的部分可以推算出来；请少保留几位。"
    ),
    "It was requested, and has to be reviewed by {}, Beijing time.": "已提出申请，须于 {}（北京时间）前审核。",
    "The request was rejected: {}": "申请被驳回：{}",
    "The request was taken back.": "申请已撤回。",
    "The request was taken back, or is in force without an answer.": "申请已撤回，或已无需答复即生效。",
    "The request was worded anew, and is asked anew.": "申请内容已变更，将重新征求答复。",
    "The request was answered already, by {}.": "申请已由 {} 答复。",
    "The agreement grants one delivery, and that was made on {}.": "协议只准交付一次，已于 {} 交付。",
    "Its frequency is {}: it is due again at {}.": "频率为 {}：下次应于 {} 交付。",
    "It is due.": "现在应当交付。",
    "Agreement version {} is approved until {}.": "协议 {} 版已获批准，有效至 {}。",
    "There is no agreement '{}'.": "没有协议“{}”。",
    "The consumer holds this snapshot.": "接收方已持有该快照。",
    "The dataset has no accepted snapshot yet.": "该数据集尚无通过检验的快照。",
    "It was recalled.": "已召回。",
    "It was recalled: the next snapshot goes, or this one under a changed agreement.": (
        "已召回：下一个快照将照常交付；协议变更后，本快照也可再交付。"
    ),
}
_ROWS = {
    "It is missing.": "缺失。",
    "It is no valid {type}.": "不是有效的{}。",
    "A value stands in it twice.": "其中有重复的值。",
    "The same {} stands in several rows.": "{} 在多行中重复。",
    "It is not one of the {} allowed values.": "不在 {} 个允许的值之中。",
    "It is one of the values that are not allowed.": "是不允许的值。",
    "It does not match the pattern {}.": "不符合格式 {}。",
    "{_} is after {_}.": "{} 晚于 {}。",
    "Its check digit is wrong ({}).": "校验码错误（{}）。",
    "It does not exist in {dataset}.": "在 {} 中不存在。",
    "The newest {} is older than {age}.": "最新的 {} 已超过 {}。",
    "It fails {}.": "未通过 {}。",
    "It lacks one of: {}.": "缺少以下之一：{}。",
    "It does not fit {}.": "超出 {} 的范围。",
    "It is no {}.": "不是有效的 {}。",
    "The source lacks a column '{}', which the contract promises.": "数据源缺少数据合同承诺的字段“{}”。",
    "The source lacks {} more columns, which the contract promises.": "数据源还缺少数据合同承诺的 {} 个字段。",
    "The source has a column '{}' that the contract does not know, and its columns are frozen.": (
        "数据源有数据合同未知的字段“{}”，而字段已冻结。"
    ),
    "The source has {} more columns that the contract does not know, and its columns are frozen.": (
        "数据源还有数据合同未知的 {} 个字段，而字段已冻结。"
    ),
    "The source has a column '{}' that the contract does not know: not taken.": "数据源有数据合同未知的字段“{}”，未采用。",
    "The source has a column '{}' that the contract does not know: kept in landing only.": (
        "数据源有数据合同未知的字段“{}”，仅保留在原始抽取中。"
    ),
    "The source has {} more columns that the contract does not know: not taken.": (
        "数据源还有数据合同未知的 {} 个字段，未采用。"
    ),
    "The source has {} more columns that the contract does not know: kept in landing only.": (
        "数据源还有数据合同未知的 {} 个字段，仅保留在原始抽取中。"
    ),
    "Every row fails, so the extract is rejected and the last snapshot stays.": "所有行均不合格，整体拒收，沿用上一个快照。",
    "The extract is rejected: more than {size} fail.": "整体拒收：超过 {}不合格。",
    "The extract is rejected: more than {size} break {_}.": "整体拒收：超过 {}违反 {}。",
    "The number of rows is more than {_} % away from the median of the last extracts.": (
        "行数偏离最近几次抽取的中位数超过 {} %。"
    ),
    "The share of rows without {} is more than {_} points away from the median of the last extracts.": (
        "缺少 {} 的行所占比例偏离最近几次抽取的中位数超过 {} 个百分点。"
    ),
    "Mean or quartiles of {} are further than {_} % of its spread away from the median of the last extracts.": (
        "{} 的均值或四分位数偏离最近几次抽取的中位数，超过其通常幅度的 {} %。"
    ),
    "More than {_} % of the rows have another {} than in the last extracts.": (
        "超过 {} % 的行，其 {} 的分布与最近几次抽取不同。"
    ),
}
_FILTERS = {
    "The row filter has {} characters, more than the {} allowed.": "长 {} 个字符，超过允许的 {} 个。",
    "This day is beyond the calendar.": "该日期超出历法范围。",
    "It ends too early.": "不完整。",
    "It cannot be read from here on.": "自此处起无法解析。",
    "It is nested more than {} deep.": "嵌套超过 {} 层。",
    "The dataset has no column '{}'.": "数据集没有字段“{}”。",
    "Column '{}' is of type {type}: a row filter compares plain values.": "字段“{}”类型为{}，只能比较简单值。",
    "Column '{}' is true or false: '{}' does not order it.": "字段“{}”为布尔值，不能用“{}”比较。",
    "Column '{}' is true or false: it has no range.": "字段“{}”为布尔值，没有范围。",
    "Column '{}' is of type {type}: today() is a date.": "字段“{}”类型为{}，而 today() 是日期。",
    "Column '{}' is of type {type}; `under` looks at the beginning of a text.": "字段“{}”类型为{}，而 under 比较文本的开头。",
    "Column '{}' is of type {type}: this literal does not fit.": "字段“{}”类型为{}，与所写的值不符。",
    "Every text is under the empty prefix.": "空前缀包含所有文本。",
}
_PAGES = {
    "There is no such page.": "没有这个页面。",
    "This page is only looked at.": "此页面仅供查看。",
    "What was given does not fit.": "填写的内容不符合要求。",
    "There is nothing of that id.": "没有该编号的内容。",
    "There is no such department.": "没有这个部门。",
    "A month is written as YYYY-MM.": "月份应写作 YYYY-MM。",
    "You may not look people up: `lookup_users` does not name you.": "您无权查询：lookup_users 未列出您。",
    "Ask from the page itself.": "请在页面上查询。",
    "Log in first.": "请先登录。",
    "Your session has ended: log in again.": "会话已结束，请重新登录。",
    "You may not look here.": "您无权查看。",
    "Open the address that `crossdock dashboard` printed.": "请打开 crossdock dashboard 给出的地址。",
    "This token is not, or no longer, good. Start `crossdock dashboard` again.": (
        "令牌无效或已失效，请重新运行 crossdock dashboard。"
    ),
    "The subject is empty.": "未填写查询对象。",
    "The reason names whom it is about.": "查询事由中写有查询对象。",
    "Leave the identifier out: the reason is kept as it is.": "请勿写入证件号码：事由将原样保存。",
    "Give a resident ID or a unified social credit code.": "请填写身份证号或统一社会信用代码。",
    "Entry {} is not signed yet.": "账本条目 {} 尚未签名。",
    "Run `crossdock ledger sign` first.": "请先运行 crossdock ledger sign。",
    "The state database did not answer ({}).": "状态数据库没有应答（{}）。",
    "Try again; if it stays so, look whether it runs and can be written.": "请重试；如仍如此，请检查其是否运行、可否写入。",
    "The state database is damaged.": "状态数据库已损坏。",
    "Restore it from a backup, then run `crossdock ledger verify`.": "请从备份恢复，再运行 crossdock ledger verify。",
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
_BOUNDS = {"at least": "不少于", "more than": "大于", "at most": "不超过", "less than": "小于"}
TYPES = {
    "string": "文本",
    "integer": "整数",
    "number": "数值",
    "boolean": "布尔值",
    "date": "日期",
    "timestamp": "时间戳",
    "time": "时间",
    "object": "对象",
    "array": "数组",
    "map": "映射",
    "vector": "向量",
    "value": "值",
}
STATUSES = {
    "draft": "草案",
    "proposed": "拟定",
    "requested": "已申请",
    "approved": "已批准",
    "active": "生效",
    "deprecated": "将停用",
    "suspended": "已中止",
    "retired": "已停用",
}
_UNITS = {"days": "天", "hours": "小时", "minutes": "分钟", "seconds": "秒"}


@lru_cache(maxsize=4_096)
def in_chinese(sentence: str) -> str:
    """Returns a sentence of crossdock's in Chinese; any other as it is.

    >>> in_chinese("It is not at least 0 and less than 10.")
    '数值应不少于 0 且小于 10。'
    """
    for pattern, holes, chinese in _patterns():
        found = pattern.fullmatch(sentence)
        if found:
            return chinese.format(*map(_filled, holes, found.groups()))
    return _measured(sentence) or sentence


_HOLES = {
    "": "(.+?)",
    "_": r"(\S+)",
    "type": r"(\S+?)",
    "status": r"(\S+?)",
    "age": r"(\S+(?: \S+)?)",
    "size": r"(\d+ rows|\S+ % of the rows|\d+ rows or \S+ % of the rows)",
    "dataset": r"(this dataset|\S+)",
    "place": r"(row filter(?:, character \d+)?)",
    "fix": r"((?: .+)?)",
}


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], tuple[str, ...], str], ...]:
    """Returns what a sentence looks like, which holes are in it, and how it is said."""
    filters = {f"{{place}}: {english}{{fix}}": f"{{}}：{chinese}" for english, chinese in _FILTERS.items()}
    found = []
    for english, chinese in (_REFUSALS | _ROWS | _PAGES | filters).items():
        texts = re.split(r"\{(\w*)\}", english)
        holes = tuple(texts[1::2])
        pattern = "".join(_HOLES[part] if place % 2 else re.escape(part) for place, part in enumerate(texts))
        found.append((re.compile(pattern, re.DOTALL), holes, chinese))
    return tuple(found)


def _filled(hole: str, text: str) -> str:
    """Returns what stands in a hole, in Chinese where it is a word of ours."""
    return _SAID[hole](text) if hole in _SAID else text


def _age(text: str) -> str:
    number, _, unit = text.partition(" ")
    return f"{number} {_UNITS.get(unit, unit)}".rstrip()


def _place(text: str) -> str:
    _, _, character = text.partition(", character ")
    return f"行筛选条件第 {character} 个字符" if character else "行筛选条件"


_SAID: Mapping[str, Callable[[str], str]] = {
    "type": lambda text: TYPES.get(text, f" {text} "),
    "status": lambda text: STATUSES.get(text, text),
    "age": _age,
    "size": lambda text: text.replace(" or ", " 或 ").replace("% of the rows", "% 的行").replace("rows", "行"),
    "dataset": lambda text: text.replace("this dataset", "本数据集"),
    "place": _place,
}
_NUMBER = r"-?\d\S*(?: \d\S*)?(?: percent)?"  # or an instant
_END = rf"(?:{'|'.join(_BOUNDS)}) {_NUMBER}"
_WRONG = rf"is not (?:{_END}(?: and {_END})?|{_NUMBER})|is from {_NUMBER} to {_NUMBER}|is {_NUMBER}"
_OUTSIDE = re.compile(rf"({'|'.join(_MEASURED)}) ((?:{_WRONG})(?:, or (?:{_WRONG}))*)\.")


def _measured(sentence: str) -> str | None:
    """Returns in Chinese that a number is outside of its limits, as `Limits.sentence` says it; None for another one."""
    found = _OUTSIDE.fullmatch(sentence)
    return f"{_MEASURED[found[1]]}{'，且'.join(map(_demand, found[2].split(', or ')))}。" if found else None


def _demand(wrong: str) -> str:
    """Returns what a number should be in place of what is wrong with it."""
    said = wrong.replace(" percent", " %")
    if said.startswith("is not "):
        ends = said.removeprefix("is not ").split(" and ")
        return f"应{' 且'.join(map(_end, ends))}"
    if said.startswith("is from "):
        first, _, last = said.removeprefix("is from ").partition(" to ")
        return f"不应在 {first} 到 {last} 之间"
    return f"不应为 {said.removeprefix('is ')}"


def _end(said: str) -> str:
    for english, chinese in _BOUNDS.items():
        if said.startswith(english):
            return f"{chinese}{said.removeprefix(english)}"
    return f"为 {said}"
