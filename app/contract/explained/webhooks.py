"""Why webhooks are not delivered (`app.contract.webhooks`)."""

from app.contract.explained.entry import Explained, Section
from app.contract.webhooks import DeliveryError, DisabledBy

DELIVERIES = Section(
    "Why a webhook was not delivered",
    "`error` of an attempt in `GET /v1/webhooks/{id}/deliveries`; `detail` has more. What failed is tried again for "
    "three days, and whenever you ask for it: `POST …/replay`, `stillhouse webhooks replay`.",
    {
        DeliveryError.NAME_NOT_FOUND: Explained(
            "The host of the URL could not be found.",
            "Check its spelling and its DNS entry, as the service's housekeeping worker sees it.",
        ),
        DeliveryError.ADDRESS_REFUSED: Explained(
            "The host of the URL is, at least by one of its addresses, not on the public internet: this host, a "
            "private network, a cloud's metadata. Or the URL is not https.",
            "Take a receiver with public addresses only. Whoever runs the service may allow networks of their own "
            "(`STILLHOUSE_WEBHOOK_NETWORKS`) and http (`STILLHOUSE_WEBHOOK_HTTP`).",
        ),
        DeliveryError.CONNECTION_FAILED: Explained(
            "Nothing listened at the address, or the connection broke.",
            "Start the receiver, and let the service's housekeeping worker through its firewall.",
        ),
        DeliveryError.TLS_FAILED: Explained(
            "The receiver's certificate is not good for this host: expired, of another name, or of an authority that "
            "is not known here.",
            "Renew the certificate, with its whole chain. An authority of your own is named to the service by "
            "`SSL_CERT_FILE`.",
        ),
        DeliveryError.TIMED_OUT: Explained(
            "The receiver did not answer in time.",
            "Answer first (204) and work afterwards. Whoever runs the service may raise `STILLHOUSE_WEBHOOK_SECONDS`.",
        ),
        DeliveryError.NO_HTTP: Explained(
            "What came back is no HTTP answer.", "Check port and path, and whether it should be http or https."
        ),
        DeliveryError.REDIRECTED: Explained(
            "The receiver pointed elsewhere (3xx), and redirects are not followed.",
            "Change the webhook's `url` to where it pointed.",
        ),
        DeliveryError.REFUSED: Explained(
            "The receiver answered with a status other than 2xx.",
            "`answer` has its first words. Where it could not verify the signature, compare the secret: it changes "
            "with `rotate`.",
        ),
        DeliveryError.GONE: Explained(
            "The receiver answered 410: it wants no more. The webhook is disabled.",
            "Nothing, if it is so; else enable it again.",
        ),
    },
)

DISABLED = Section(
    "Why a webhook is disabled",
    "`disabled_by` of `GET /v1/webhooks/{id}`. What happens meanwhile is not kept for it; deliveries that were on "
    "their way wait.",
    {
        DisabledBy.USER: Explained(
            "Somebody with a key of the account disabled it.", "`PATCH` it with `enabled: true` when it is wanted."
        ),
        DisabledBy.GONE: Explained(
            "Its receiver answered 410: it wants no more.", "Delete it; or mend the receiver and enable it again."
        ),
        DisabledBy.FAILING: Explained(
            "No delivery went well for `STILLHOUSE_WEBHOOK_FAILING_SECONDS`, and one had failed for good.",
            "See `error` of its deliveries, mend the receiver, enable it again (`stillhouse webhooks enable`), and "
            "replay what is missing.",
        ),
    },
)
