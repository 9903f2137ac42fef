"""Makes examples of what a structural schema allows, by a seed: whole kinds are too wide to be drawn value by value."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

Schema = dict[str, Any]
ODD = "aB0 -_./:\"'\\\n\té漢🚨\u200b<&{}[]%$"
BY_PATTERN = {
    r"^[a-f0-9]{64}$": ("0" * 64, "ab" * 32),
    r"^[A-Z][a-zA-Z0-9]*$": ("Pod", "X9", "HorizontalPodAutoscaler"),
    r"^[A-Z][A-Za-z0-9]*$": ("Restart", "R"),
    r"^[A-Z][A-Z0-9_]*$": ("NAME", "A_1"),
    r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$": ("10m0s", "850ms", "1.5h", "7µs"),
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": ("a", "restart-pod", "0-0"),
    r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$": ("*", "shop"),
    r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$": ("tekton", "job"),
    r"^[0-9]+\.[0-9]+\.[0-9]+.*$": ("1.0.0", "0.12.3-rc.1+build"),
    r"^[^@\s]+@sha256:[a-f0-9]{64}$": ("registry.example:5000/a/b@sha256:" + "0" * 64,),
}
START = datetime(2000, 1, 1, tzinfo=UTC)
FEW = 2


def example(schema: Schema, rng: random.Random) -> Any:
    """Return a value that a schema allows; what is not required is often left out, and nothing is empty."""
    if "enum" in schema:
        return rng.choice(schema["enum"])
    match schema.get("type"):
        case "object":
            return _object(schema, rng)
        case "array":
            return [example(schema["items"], rng) for _ in range(rng.randint(max(1, schema.get("minItems", 1)), FEW))]
        case "string":
            return _text(schema, rng)
        case "boolean":
            return rng.random() < 1 / 2
        case "integer":
            return rng.randint(int(schema.get("minimum", -1000)), int(schema.get("maximum", 1000)))
        case _:
            return rng.choice([schema.get("minimum", -1.5), schema.get("maximum", 1e9), round(rng.random(), 3)])


def _object(schema: Schema, rng: random.Random) -> Schema:
    if "properties" in schema:
        return _fields(schema["properties"], set(schema.get("required", ())), rng)
    values = schema.get("additionalProperties") or {"type": rng.choice(["string", "integer", "boolean"])}
    return {rng.choice(["a", "kubernaut.ai/b", "C_D", "é"]): example(values, rng) for _ in range(rng.randint(1, FEW))}


def _fields(properties: dict[str, Schema], required: set[str], rng: random.Random) -> Schema:
    kept = [name for name in properties if name in required or rng.random() < 1 / 2]
    return {name: example(properties[name], rng) for name in kept or list(properties)[:1]}


def _text(schema: Schema, rng: random.Random) -> str:
    if schema.get("format") == "date-time":
        moment = START + timedelta(microseconds=rng.randrange(10**15) if rng.random() < 1 / 2 else rng.randrange(10**9) * 1_000_000)
        return moment.isoformat().replace("+00:00", "Z")
    if "pattern" in schema:
        return rng.choice(BY_PATTERN[schema["pattern"]])
    length = rng.randint(max(1, schema.get("minLength", 1)), min(12, schema.get("maxLength", 12)))
    return "".join(rng.choice(ODD) for _ in range(length))
