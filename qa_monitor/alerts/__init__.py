"""Urgent calls told to those who can act: the policy, the channels, the delivery, the escalation.

``raise_alerts`` turns a record into alerts by a policy file; the store queues them for the routes
that ``plan_routes`` made of the settings, in the transaction that keeps the record;
``deliver_pending`` hands over what is due, a ``Courier`` does so in the background. Delivery is at
least once: after a crash between sending and noting it a channel may be told twice, under the same
id. What leaves by a channel is ids, severity, reason code, time and link, and never words of the
call.
"""

from __future__ import annotations

from qa_monitor.alerts.channels import (
    Channel,
    ChatChannel,
    ConsoleChannel,
    EmailChannel,
    JsonLinesChannel,
    MailServer,
    WebhookChannel,
    check_webhook_secret,
    read_chats,
)
from qa_monitor.alerts.delivery import Courier, DeliveryReport, deliver_pending
from qa_monitor.alerts.escalation import Recipients, Step, plan_routes
from qa_monitor.alerts.policy import Policy, Rule, When, raise_alerts
from qa_monitor.alerts.quiet import Quiet, QuietHours

__all__ = [
    "Channel",
    "ChatChannel",
    "ConsoleChannel",
    "Courier",
    "DeliveryReport",
    "EmailChannel",
    "JsonLinesChannel",
    "MailServer",
    "Policy",
    "Quiet",
    "QuietHours",
    "Recipients",
    "Rule",
    "Step",
    "WebhookChannel",
    "When",
    "check_webhook_secret",
    "deliver_pending",
    "plan_routes",
    "raise_alerts",
    "read_chats",
]
