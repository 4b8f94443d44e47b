"""Urgent calls told to those who can act: the policy, the channels, the delivery.

``raise_alerts`` turns a record into alerts by a policy file; the store queues them for each channel
in the transaction that keeps the record; ``deliver_pending`` hands over what is queued. Delivery is
at least once: after a crash between sending and noting it, or when two processes deliver at the
same moment, a channel may be told twice, under the same id. What leaves by a channel is call id,
severity, reason code, time and link, and never words of the call.
"""

from __future__ import annotations

from qa_monitor.alerts.channels import Channel, ConsoleChannel, JsonLinesChannel, WebhookChannel
from qa_monitor.alerts.delivery import DeliveryReport, deliver_pending
from qa_monitor.alerts.policy import Policy, Rule, When, raise_alerts

__all__ = [
    "Channel",
    "ConsoleChannel",
    "DeliveryReport",
    "JsonLinesChannel",
    "Policy",
    "Rule",
    "WebhookChannel",
    "When",
    "deliver_pending",
    "raise_alerts",
]
