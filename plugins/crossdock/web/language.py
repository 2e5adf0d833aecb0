"""The pages' two languages: which one a reader wants, and how it stays with them from page to page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from crossdock.display.phrases import STATUSES, in_chinese

LANGUAGES = ("zh", "en")
_WORDS = {
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
    **STATUSES,
    "on_change": "有变化时",
    "once": "一次",
    "delivery_id": "交付编号",
    "location": "位置",
    "address": "地址",
    "digest": "摘要",
    "delivered_at": "送达时间",
}


def preferred(asked: str | None, accepted: str | None) -> str:
    """Returns the language that the address asks for, else the first that the browser accepts, else Chinese.

    >>> preferred(None, "fr, en-GB;q=0.8, zh;q=0.5")
    'en'
    """
    if asked in LANGUAGES:
        return asked
    wanted = (part.partition(";")[0].strip().partition("-")[0].lower() for part in (accepted or "").split(","))
    return next((language for language in wanted if language in LANGUAGES), LANGUAGES[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a template says things and makes links with; `root` is where the pages are mounted."""

    language: str
    root: str
    path: str
    query: Mapping[str, str]

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

    def link(self, path: str, **query: str | None) -> str:
        """Returns the address of a page in the same language."""
        given = {name: value for name, value in query.items() if value}
        return f"{self.root}/{quote(path)}?{urlencode(given | {'lang': self.language})}"

    def asset(self, name: str) -> str:
        """Returns the address of style, script or library: the same in every language, so that it is fetched once."""
        return f"{self.root}/static/{name}"

    def here(self, **changes: str | None) -> str:
        """Returns the address of this page with some of its query changed; None leaves one out."""
        query = {name: value for name, value in {**self.query, **changes}.items() if value}
        return f"{self.root}/{quote(self.path)}?{urlencode(query)}"
