"""Takes reports apart, as a program of somebody else's would: each file of a directory becomes an object of a JSON list."""

import base64
import email
import email.policy
import json
import pathlib
import sys


def fields(message):
    return [[name, str(value)] for name, value in message.items()]


def part(message):
    payload = message.get_payload()
    found = {
        "type": message.get_content_type(),
        "encoding": str(message["Content-Transfer-Encoding"] or ""),
        "defects": [repr(defect) for defect in message.defects],
        "groups": None,
        "octets": None,
        "inner": None,
    }
    if found["type"] == "message/delivery-status":
        found["groups"] = [fields(group) for group in payload]
        found["defects"] += [repr(defect) for group in payload for defect in group.defects]
    elif found["type"] == "message/rfc822":
        inner = payload[0]
        body = inner.get_payload(decode=True)
        found["inner"] = {"fields": fields(inner), "body": base64.b64encode(body or b"").decode()}
    else:
        found["octets"] = base64.b64encode(message.get_payload(decode=True)).decode()
    return found


def report(octets):
    message = email.message_from_bytes(octets, policy=email.policy.default)
    header_defects = [f"{name}: {defect!r}" for name, value in message.items() for defect in value.defects]
    return {
        "type": message.get_content_type(),
        "report_type": message.get_param("report-type"),
        "defects": [repr(defect) for defect in message.defects],
        "header_defects": header_defects,
        "preamble": message.preamble,
        "epilogue": message.epilogue,
        "fields": fields(message),
        "parts": [part(one) for one in message.get_payload()],
    }


paths = sorted(pathlib.Path(sys.argv[1]).glob("*.eml"))
json.dump([report(path.read_bytes()) for path in paths], sys.stdout)
