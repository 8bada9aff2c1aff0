"""Every setting of the service, in one class. Environment variables carry the prefix STILLHOUSE_."""

from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.contract.job_file import RESIDENT_BYTES
from app.contract.limits import Count, Duration
from app.logs import Format, Level

Seconds = Annotated[float, Field(gt=0)]
Networks = Annotated[list[str], AfterValidator(lambda given: [str(ip_network(one)) for one in given])]
Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().resolve())]


class Settings(BaseSettings):
    """Read from the environment. What names a server (broker, database, store) is empty for the embedded ones."""

    model_config = SettingsConfigDict(env_prefix="STILLHOUSE_", use_attribute_docstrings=True, frozen=True)

    data: Folder = Path("~/.local/share/stillhouse")
    """Folder of this host: job directories, and the embedded database and store."""
    log_format: Format = ""
    """`text` or `json`, to stderr; empty: text on a terminal, JSON elsewhere."""
    database_url: str = ""
    """`postgresql+psycopg://…`; empty: SQLite in the data folder."""
    migration_lock_seconds: Seconds = 60
    """How long a migration waits for another one on the same database; then it gives up, and nothing is changed."""
    broker_url: str = ""
    """`redis://…`, `rediss://…` or `redis+socket:///path`; only `stillhouse serve` can do without."""
    log_level: Annotated[Level, BeforeValidator(lambda given: str(given).strip().lower())] = "info"
    """From `debug`, `info`, `warning` or `error` on. `debug` shows libraries' words too, and rows of the database."""
    flower: bool = False
    """Workers tell Celery's monitors, such as flower, of themselves and their tasks, and answer what these ask."""
    store_url: str = ""
    """`s3://bucket/prefix` or `file:///folder`; empty: `blobs` in the data folder."""

    s3_endpoint: str = ""
    """For S3 servers other than AWS: `http://host:port`."""
    s3_region: str = "us-east-1"
    """The bucket's region."""
    s3_access_key_id: str = ""
    """Empty: the AWS SDK's usual places (environment, instance profile)."""
    s3_secret_access_key: SecretStr = SecretStr("")
    """The key's secret."""
    s3_signed_downloads: bool = True
    """Answer downloads with a redirect to a signed URL of the S3 server; off where clients cannot reach it."""

    key_pepper: SecretStr = SecretStr("")
    """Secret under which API keys are hashed; empty: the file `pepper` in the data folder, made once."""

    max_body_bytes: int = Field(default=2**20, gt=0)
    """The largest JSON request."""
    slowest_bytes_per_second: int = Field(default=1000, gt=0)
    """A body that comes in slower is refused; it has `STILLHOUSE_BODY_PATIENCE_SECONDS` beyond that."""
    body_patience_seconds: Seconds = 30
    """How long the service waits for a body beyond the time that its bytes may take."""
    cors_origins: list[str] = Field(default_factory=list)
    """JSON list of origins whose pages may use the API from a browser, such as `["https://lab.example"]`; none."""
    max_parameters: int = Field(default=2 * 10**9, gt=0)
    """The largest network that a job or a model may name."""
    upload_seconds: Seconds = 3 * 24 * 3600
    """An unfinished upload that nothing was added to for so long is removed."""
    upload_silence_seconds: Seconds = 30
    """A request that adds to an upload and sends nothing for so long is ended; what came is kept."""
    free_space_floor_bytes: int = Field(default=256 * 2**20, ge=0)
    """An upload that would leave less on the data folder's disk is refused."""

    # What one account may have and do: docs/limits.md. 0: no limit. An administrator may set others for an account.
    limit_stored_bytes: Count = 0
    """Bytes that an account may store: files, unfinished uploads, results. 0, as for all limits: none."""
    limit_unfinished_uploads: Count = 1000
    """Uploads of an account that are not complete yet."""
    limit_upload_bytes: Count = 16 * 2**30
    """The largest file that may be uploaded."""
    limit_queued_jobs: Count = 1000
    """Jobs of an account that wait, paused ones too."""
    limit_running_jobs: Count = 0
    """Jobs of an account that have a worker; its others wait, and those of other accounts go before them."""
    limit_epochs: Count = 100_000
    """Epochs of one job, in all its stages and generations."""
    limit_devices: Count = 0
    """Devices of one job; 1 where strangers submit (SECURITY.md)."""
    limit_runtime_seconds: Duration = 0
    """The largest `max_runtime` of a job, and what one without gets."""
    limit_webhooks: Count = 20
    """Webhooks of an account."""
    limit_requests_per_minute: Count = 12_000
    """Requests of an account; as many may come at once, and not more in the long run."""
    limit_strangers_per_minute: Count = 120
    """Requests without a good API key from one address that are answered with more than that they are too many."""

    sandbox: Literal["best", "strict"] = "best"
    """`strict`: a worker does not start where the kernel lacks a wall of the sandbox; `best`: it warns and goes on."""
    slots: int = Field(default=0, ge=0)
    """Jobs that this worker runs at once; 0: one a CUDA device, or one where there is none."""
    threads: int = Field(default=0, ge=0)
    """Torch threads of one job; 0: this host's cores divided by the slots."""
    job_memory_bytes: int = Field(default=0, ge=0)
    """Address space of a job on the CPU (of each of its processes, where its `devices` are several), shared libraries
    included (2 GiB and more); 0: no limit but the host's."""
    job_silence_seconds: float = Field(default=3600, ge=0)
    """An engine without a sign of life (one a batch) for so long is killed, at the cost of an attempt; 0: never."""
    warm_seconds: float = Field(default=600, ge=0)
    """How long a worker's slot keeps torch loaded (a quarter of a GiB) for its next job, which then starts seconds
    sooner; 0: every job loads it anew. After an inspection it is a minute at most."""
    resident_bytes: int = Field(default=RESIDENT_BYTES, ge=0)
    """A transfer set whose samples take more stays in its file and is read batch by batch, not kept on the device."""
    soft_target_bytes: int = Field(default=8 * 2**30, ge=0)
    """Soft targets kept on this host for later jobs; the least recently used go first. 0: each job keeps its own."""
    soft_target_shared_bytes: int = Field(default=2**30, ge=0)
    """The most soft targets of one job that go into the store for other hosts; an embedded store has no others."""
    soft_target_seconds: Seconds = 7 * 24 * 3600
    """Soft targets in the store that no job has asked for in so long are removed."""
    checkpoint_store_seconds: float = Field(default=300, ge=0)
    """How often checkpoints go into the store for other hosts while a job trains; they also do when it is laid down.
    0: only then. An embedded store has no others."""
    lease_seconds: Seconds = 30
    """A job whose worker has not been heard of for so long is given to another."""
    heartbeat_seconds: Seconds = 5
    """How often a worker says that it is still there, and looks whether its job was cancelled."""
    relay_seconds: Seconds = 0.5
    """How often a job's events are carried over to the database, and looked for by those who follow."""
    stop_grace_seconds: Seconds = 30
    """Time that a job has to write its checkpoint when it must stop."""
    sweep_seconds: Seconds = 10
    """How often the janitor looks around."""
    ring_again_seconds: Seconds = 15
    """A job or inspection still waiting after so long has its doorbell rung again."""
    max_queued_seconds: Seconds = 7 * 24 * 3600
    """A job that nobody took for so long expires."""
    failed_seconds: float = Field(default=7 * 24 * 3600, ge=0)
    """What a failed or expired job had learnt stays on its host and in the store for so long, for a retry."""
    keep_jobs_seconds: float = Field(default=0, ge=0)
    """Jobs that ended so long ago are deleted with their results, unless they are pinned; 0: kept for ever."""
    keep_unused_seconds: float = Field(default=0, ge=0)
    """Models, transfer sets and files that nothing used for so long are deleted, unless pinned; 0: kept for ever."""
    webhook_http: bool = False
    """Webhooks may go to `http://` too: what they tell can be read on the way."""
    webhook_networks: Networks = Field(default_factory=list)
    """JSON list of networks that webhooks may go to though they are not public, such as `["10.20.0.0/16"]`; none."""
    webhook_seconds: Seconds = 15
    """How long a receiver of a webhook has to answer, from the look-up of its name on."""
    webhook_retry_seconds: list[Seconds] = Field(
        default_factory=lambda: [5.0, 300.0, 1800.0, 7200.0, 18e3, 36e3, 504e2, 72e3, 864e2], max_length=30
    )
    """JSON list: how long after each failed try the next one comes (up to a tenth later). Then it has failed."""
    webhook_failing_seconds: float = Field(default=5 * 24 * 3600, ge=0)
    """A webhook is disabled when a delivery has failed for good, and none went well for so long."""
    webhook_delivery_seconds: Seconds = 30 * 24 * 3600
    """Deliveries of webhooks are kept for so long, and then deleted."""
    inspection_seconds: Seconds = 120
    """Wall-clock limit of an inspection."""
    inspection_memory_bytes: int = Field(default=8 * 2**30, gt=0)
    """Address space of an inspection."""
    orphan_seconds: Seconds = 24 * 3600
    """Stored bytes that nothing refers to are set aside after so long, and removed after as long again."""

    @cached_property
    def database(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.data}/stillhouse.db"

    @cached_property
    def store(self) -> str:
        return self.store_url or (self.data / "blobs").as_uri()
