"""Which language a reader wants, and how crossdock's own words are said in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from crossdock.language.phrases import STATUSES, TYPES, in_chinese

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
_WORDS = {
    **TYPES,
    **STATUSES,
    "accepted": "通过",
    "partial": "部分通过",
    "rejected": "拒收",
    "delivered": "已送达",
    "intended": "进行中",
    "superseded": "已被取代",
    "recalled": "已召回",
    "inserted": "新增",
    "updated": "更新",
    "deleted": "删除",
    "unchanged": "未变",
    "filtered": "过滤",
    "insert": "新增",
    "update": "更新",
    "delete": "删除",
    "unconditional": "无条件共享",
    "conditional": "有条件共享",
    "none": "不予共享",
    "person": "自然人",
    "enterprise": "企业",
    "error": "错误",
    "warning": "警告",
    "info": "提示",
    "waived": "已豁免",
    "database": "数据库",
    "folder": "文件夹",
    "bucket": "存储桶",
    "sftp": "SFTP",
    "webhook": "网络服务",
    "open": "公开",
    "full": "全量",
    "changes": "增量",
    "recall": "召回",
    "mask": "掩码",
    "pseudonymise": "假名化",
    "generalise": "泛化",
    "drop": "去除",
    "dummy": "替身",
    "on_change": "有变化时",
    "once": "一次",
    "public": "公开",
    "internal": "内部",
    "restricted": "受限",
    "confidential": "保密",
    "sensitive": "敏感",
    "overdue": "已逾期",
    "delivery_id": "交付编号",
    "location": "位置",
    "address": "地址",
    "maybe_at": "可能也已送达",
    "digest": "摘要",
    "delivered_at": "送达时间",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What things are said with to a reader of one language."""

    language: Language

    def say(self, chinese: str, english: str) -> str:
        """Returns the one of the reader's language, or the other where that is empty."""
        first, second = (chinese, english) if self.language == "zh" else (english, chinese)
        return first or second

    def state(self, word: str) -> str:
        """Returns one of crossdock's own words, such as an outcome, in the reader's language; any other as it is."""
        return self.say(_WORDS.get(word, word), word)

    def sentence(self, text: str) -> str:
        """Returns a reason in the reader's language, where it is one of crossdock's own."""
        return in_chinese(text) if self.language == "zh" else text


CHINESE, ENGLISH = Speech(language="zh"), Speech(language="en")


def speech_of(language: Language | None, environment: Mapping[str, str] = os.environ) -> Speech:
    """Returns the speech that was asked for, else that of the locale: Chinese where it is Chinese, else English."""
    if language:
        return Speech(language=language)
    locale = next(filter(None, map(environment.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return CHINESE if locale.startswith("zh") else ENGLISH


def in_both(text: str) -> str:
    """Returns a reason in Chinese and English, for who may read either; one that has no Chinese once.

    >>> in_both("It is missing.")
    '缺失。 It is missing.'
    """
    chinese = in_chinese(text)
    return text if chinese == text else f"{chinese} {text}"
