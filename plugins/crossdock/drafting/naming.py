"""Safe names for columns: what is a plain word stays, Chinese is translated where its words are known, others count."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from crossdock.contracts.table import TECHNICAL

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
# Words that headers of registers are made of; the longest that fits is taken first.
_WORDS: Mapping[str, str] = {
    "公民身份号码": "resident_id", "身份证号码": "resident_id", "身份证号": "resident_id", "身份证": "resident_id",
    "居民身份": "resident_id", "统一社会信用代码": "credit_code", "社会信用代码": "credit_code", "信用代码": "credit_code",
    "组织机构代码": "organisation_code", "法定代表人": "legal_representative", "法人代表": "legal_representative",
    "负责人": "principal", "经办人": "clerk", "联系人": "contact", "联系电话": "phone", "联系方式": "contact",
    "手机号码": "mobile", "手机号": "mobile", "手机": "mobile", "电话号码": "phone", "电话": "phone", "传真": "fax",
    "电子邮箱": "email", "电子邮件": "email", "邮箱": "email", "邮政编码": "postcode", "邮编": "postcode",
    "姓名": "name", "名称": "name", "性别": "gender", "民族": "ethnicity", "国籍": "nationality", "年龄": "age",
    "出生日期": "birth_date", "出生年月": "birth_month", "婚姻状况": "marital_status", "学历": "education", "职业": "occupation",
    "户籍": "household", "户号": "household_no", "户主": "householder", "家庭": "family", "住址": "address", "地址": "address",
    "居住地": "residence", "行政区划代码": "region_code", "区划代码": "region_code", "行政区划": "region", "区划": "region",
    "省份": "province", "省": "province", "市": "city", "区县": "county", "县": "county", "区": "district", "乡镇": "town",
    "街道": "street", "企业": "enterprise", "公司": "company", "单位": "employer", "机构": "organisation", "部门": "department",
    "行业": "industry", "注册资本": "capital", "注册": "registration", "登记": "registration", "成立": "founding",
    "许可证": "licence", "证书": "certificate", "证照": "licence", "证件": "document", "类型": "type", "类别": "category",
    "状态": "status", "等级": "grade", "级别": "level", "编号": "no", "编码": "code", "代码": "code", "号码": "no", "序号": "serial",
    "号": "no", "标识": "id", "日期": "date", "时间": "time", "年份": "year", "年度": "year", "年": "year", "月份": "month",
    "月": "month", "日": "day", "有效期至": "valid_until", "有效期": "validity", "开始": "start", "结束": "end", "起始": "start",
    "截止": "end", "更新": "update", "创建": "creation", "变更": "change", "发布": "release", "金额": "amount", "收入": "income",
    "价格": "price", "单价": "unit_price", "数量": "quantity", "面积": "area", "人数": "people", "总数": "total", "合计": "total",
    "比例": "share", "率": "rate", "经度": "longitude", "纬度": "latitude", "备注": "remark", "说明": "note", "描述": "description",
    "内容": "content", "标题": "title", "来源": "source", "是否": "is", "车牌": "plate", "银行": "bank", "账号": "account_no",
    "账户": "account", "项目": "project", "经营范围": "business_scope", "经营": "business", "地点": "place", "学校": "school",
    "医院": "hospital", "站": "station", "上级": "parent", "全称": "full_name", "简称": "short_name", "气温": "temperature", "温度": "temperature", "湿度": "humidity", "风速": "wind_speed",
}  # fmt: skip
_LONGEST = max(map(len, _WORDS))


def has_chinese(text: str) -> bool:
    """True when a text holds a Chinese character."""
    return bool(_CHINESE.search(text))


def propose_names(headers: Sequence[str]) -> list[str]:
    """Returns a name for each column: ASCII letters, digits and _, each once whatever its case."""
    taken: set[str] = set()
    names = []
    for number, header in enumerate(headers, 1):
        name = _free(_proposed(header, number), taken)
        taken.add(name.lower())
        names.append(name)
    return names


def propose_word(text: str) -> str:
    """Returns a dataset's name: small letters, digits and _, with a letter first."""
    word = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return word if word[:1].isalpha() else f"dataset_{word}".rstrip("_")


def _proposed(header: str, number: int) -> str:
    if _PLAIN.fullmatch(header) and header not in TECHNICAL:
        return header
    translated = _translated(header) if has_chinese(header) else header
    word = re.sub(r"[^A-Za-z0-9]+", "_", translated or "").strip("_").lower()[:60]
    if not word:
        return f"column_{number}"
    return word if word[0].isalpha() else f"column_{word}"


def _translated(header: str) -> str | None:
    """Returns the words of a header in English, or None when one of them is not known."""
    found, at = [], 0
    while at < len(header):
        if not has_chinese(header[at]):
            found.append(header[at])
            at += 1
            continue
        size = next((n for n in range(_LONGEST, 0, -1) if header[at : at + n] in _WORDS), 0)
        if not size:
            return None
        found.append(f"_{_WORDS[header[at : at + size]]}_")
        at += size
    return "".join(found)


def _free(name: str, taken: set[str]) -> str:
    numbered = (f"{name}_{number}" for number in range(2, len(taken) + 3))
    return next(each for each in (name, *numbered) if each.lower() not in taken)
