"""config.yaml as types: `load_config` reads a file, `Config()` alone is the embedded default."""

from affine_trainer.config.data_sections import AffineDataConfig, AgentGymConfig, CustomDataConfig, DataConfig
from affine_trainer.config.experiment import Cell, Experiment, check_overlay, load_experiment
from affine_trainer.config.flat import field_of, flatten
from affine_trainer.config.loading import config_from_record, load_config, resolved_yaml
from affine_trainer.config.rl import RLConfig
from affine_trainer.config.section import Schedule, Section, SingleTurnEnvironment
from affine_trainer.config.sections import (
    Config,
    EndpointConfig,
    EvaluationConfig,
    ModelConfig,
    SamplingConfig,
    SandboxConfig,
    TrackingConfig,
    TrainingConfig,
    is_run_name,
)

__all__ = [
    "AffineDataConfig",
    "AgentGymConfig",
    "Cell",
    "Config",
    "CustomDataConfig",
    "DataConfig",
    "EndpointConfig",
    "EvaluationConfig",
    "Experiment",
    "ModelConfig",
    "RLConfig",
    "SamplingConfig",
    "SandboxConfig",
    "Schedule",
    "Section",
    "SingleTurnEnvironment",
    "TrackingConfig",
    "TrainingConfig",
    "check_overlay",
    "config_from_record",
    "field_of",
    "flatten",
    "is_run_name",
    "load_config",
    "load_experiment",
    "resolved_yaml",
]
