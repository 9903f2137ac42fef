"""The published forms and limits of the vendors' requests, written down from their documents and models: what each would refuse, fails here."""

import json

import jsonschema_rs
from slack_sdk.models.blocks import Block, HeaderBlock, SectionBlock
from slack_sdk.models.views import View

TEXT = {"type": "string", "minLength": 1}
URL = {"type": "string", "pattern": "^https?://", "maxLength": 2048}
PAGERDUTY = {
    "type": "object",
    "required": ["routing_key", "event_action"],
    "additionalProperties": False,
    "properties": {
        "routing_key": TEXT,
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
        "client": TEXT,
        "client_url": URL,
        "links": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["href"],
                "additionalProperties": False,
                "properties": {"href": URL, "text": TEXT},
            },
        },
        "payload": {
            "type": "object",
            "required": ["summary", "severity", "source"],
            "additionalProperties": False,
            "properties": {
                "summary": {**TEXT, "maxLength": 1024},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "source": TEXT,
                "timestamp": {"type": "string", "format": "date-time"},
                "component": TEXT,
                "group": TEXT,
                "class": TEXT,
                "custom_details": {"type": "object"},
            },
        },
    },
    "if": {"properties": {"event_action": {"const": "trigger"}}},
    "then": {"required": ["payload"]},
    "else": {"required": ["dedup_key"]},
}
TEXT_BLOCK = {
    "type": "object",
    "required": ["type", "text"],
    "additionalProperties": False,
    "properties": {
        "type": {"const": "TextBlock"},
        "text": TEXT,
        "wrap": {"type": "boolean"},
        "size": {"enum": ["Default", "Small", "Medium", "Large", "ExtraLarge"]},
        "weight": {"enum": ["Default", "Lighter", "Bolder"]},
        "color": {"enum": ["Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"]},
        "spacing": {"enum": ["Default", "None", "Small", "Medium", "Large", "ExtraLarge", "Padding"]},
        "isSubtle": {"type": "boolean"},
    },
}
CARD = {
    "type": "object",
    "required": ["type", "version", "body"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"const": "http://adaptivecards.io/schemas/adaptive-card.json"},
        "type": {"const": "AdaptiveCard"},
        "version": {"enum": ["1.2", "1.3", "1.4", "1.5"]},
        "fallbackText": TEXT,
        "msteams": {"type": "object"},
        "body": {"type": "array", "minItems": 1, "items": TEXT_BLOCK},
        "actions": {
            "type": "array",
            "maxItems": 6,
            "items": {
                "type": "object",
                "required": ["type", "url"],
                "additionalProperties": False,
                "properties": {"type": {"const": "Action.OpenUrl"}, "title": TEXT, "url": URL},
            },
        },
    },
}
TEAMS = {
    "type": "object",
    "required": ["type", "attachments"],
    "properties": {
        "type": {"const": "message"},
        "attachments": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["contentType", "content"],
                "properties": {
                    "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
                    "contentUrl": {"type": "null"},
                    "content": CARD,
                },
            },
        },
    },
}
_PAGERDUTY = jsonschema_rs.validator_for({**PAGERDUTY, "$schema": "https://json-schema.org/draft/2020-12/schema"}, validate_formats=True)
_TEAMS = jsonschema_rs.validator_for({**TEAMS, "$schema": "https://json-schema.org/draft/2020-12/schema"})


def pagerduty(body):
    """Return an event; fail where PagerDuty would refuse it."""
    assert len(body) <= 512 * 1024, "PagerDuty takes 512 KB"
    event = json.loads(body)
    _PAGERDUTY.validate(event)
    return event


def teams(body):
    """Return a card; fail where a workflow of Teams would refuse it."""
    assert len(body) <= 28 * 1024, "Teams takes 28 KB"
    message = json.loads(body)
    _TEAMS.validate(message)
    return message["attachments"][0]["content"]


def slack_view(body):
    """Return a request for a form; fail where Slack would refuse it."""
    asked = json.loads(body)
    assert asked["trigger_id"]
    View(**asked["view"]).validate_json()
    assert len(asked["view"]["private_metadata"]) <= 3000
    return asked


def slack_aside(body):
    """Return a message to one person alone; fail where Slack would refuse it."""
    message = json.loads(body)
    assert message["channel"]
    assert message["user"]
    assert 1 <= len(message["text"]) <= 40_000
    return message


def slack(body):
    """Return a message; fail where Slack would refuse it. Its own models judge the blocks."""
    message = json.loads(body)
    assert message["text"]
    assert len(message["text"]) <= 4000
    blocks = Block.parse_all(message["blocks"])
    assert 1 <= len(blocks) <= 50, "Slack takes 50 blocks"
    for block, sent in zip(blocks, message["blocks"], strict=True):
        block.validate_json()
        assert block.to_dict() == sent, "nothing that Slack does not know"
        if isinstance(block, SectionBlock):
            assert 1 <= len(sent["text"]["text"]) <= SectionBlock.text_max_length
        if isinstance(block, HeaderBlock):
            assert 1 <= len(sent["text"]["text"]) <= HeaderBlock.text_max_length
    return message
