"""How sensitive a column seems, by its name and by its values: a guess that errs on the careful side."""

from __future__ import annotations

import re
from dataclasses import dataclass

from crossdock.contracts.model import Column
from crossdock.drafting.facts import Facts
from crossdock.drafting.identifiers import IDENTIFIERS

RESTRICTED, INTERNAL = "restricted", "internal"
_SOME = 0.2  # of the values: enough to call a column by what it holds
# What a column is about: Chinese words, English words, and the pinyin initials that registers use for column names.
_TOPICS = (
    ("a person's name", "姓名|名字|户主|法定代表人|法人代表|负责人|联系人|经办人", "name|surname|firstname|lastname|contact|holder|owner", "xm|fddbr"),
    ("an identity document", "身份证|证件|护照|驾驶证|社保号", "passport|ssn|resident_id|identity|idcard", "sfzh|sfzhm|zjhm|gmsfhm"),
    ("how to reach a person", "电话|手机|邮箱|邮件|联系|微信", "phone|mobile|tel|telephone|fax|email|mail|wechat", "lxdh|sjh|dzyx|lxfs"),
    ("where a person lives", "住址|地址|居住|户籍|籍贯", "address|street|residence|home", "zz|jtzz|hjdz"),
    ("a person's birth or age", "出生|年龄|生日", "birth|born|birthday|dob|age", "csrq|nl"),
    ("a person's traits", "性别|民族|婚姻|宗教|政治面貌|学历", "gender|sex|ethnicity|race|religion|marital|nationality", "xb|mz"),
    ("a person's money", "收入|工资|薪|账号|银行|存款|纳税", "income|salary|wage|account|iban|bank|tax", "ysr|yhzh"),
    ("a person's health", "病|诊断|医疗|健康|残疾|血型", "diagnosis|disease|health|medical|disability|blood", "jb|zd"),
    ("free text, which may say anything", "备注|说明|描述|内容|意见", "remark|remarks|note|notes|comment|comments|description|text", "bz"),
    ("a household or family", "户号|家庭|配偶|父|母|子女", "household|family|spouse|father|mother|child", "hh"),
)  # fmt: skip
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆"
    "汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_CHINESE_NAME = re.compile(f"[{_SURNAMES}][\u4e00-\u9fff]{{1,3}}")
_LATIN_NAME = re.compile(r"[A-Z][a-z]+,? [A-Z][A-Za-z. ]+")
_DIGITS = re.compile(r"\d{7,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """A classification with its reason. Of a `personal` column no value, not even the greatest, goes into a draft."""

    classification: str
    reason: str
    personal: bool


def guess_sensitivity(column: Column, facts: Facts, label: str = "") -> Sensitivity:
    """Guesses from what a column is called at its source, and by its comment, and from what it holds."""
    for kind, identifier in IDENTIFIERS.items():
        if identifier.personal and (facts.alike.get(kind, 0) > 1 or facts.share(kind) >= _SOME):
            return _personal(f"values look like {identifier.words}")
    for topic, chinese, english, initials in _TOPICS:
        for name in (column.source_name, label):
            if _names(name, chinese, english, initials):
                return _personal(f"its name suggests {topic}")
    looks = _looks_personal(facts)
    if looks:
        return _personal(looks)
    return Sensitivity(classification=INTERNAL, reason="nothing suggests a person", personal=False)


def _personal(reason: str) -> Sensitivity:
    return Sensitivity(classification=RESTRICTED, reason=reason, personal=True)


def _names(name: str, chinese: str, english: str, initials: str) -> bool:
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)} | {name.lower()}
    return bool(re.search(chinese, name)) or not words.isdisjoint((*english.split("|"), *initials.split("|")))


def _looks_personal(facts: Facts) -> str:
    """Returns why a few values, which might be listed in the draft, look like people's; "" when they don't."""
    texts = [value for value, _ in facts.values]
    if any(_CHINESE_NAME.fullmatch(text) or _LATIN_NAME.fullmatch(text) for text in texts):
        return "a value looks like a person's name"
    return "a value holds a long number" if any(_DIGITS.search(text) for text in texts) else ""
