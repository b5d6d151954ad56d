"""What all sections of a config have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base class of all sections. No key but its fields, no value of another type, no infinity, no change later."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False,
                              ser_json_inf_nan="constants", protected_namespaces=())
