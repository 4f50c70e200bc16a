// The newest alerts, the latest first.

import { element, write } from "./dom.js";
import { Panel } from "./panel.js";
import { clock, plain } from "./text.js";

const MOST_ROWS = 100;

export class AlertsPanel extends Panel {
  constructor() {
    super("alerts", "Alerts");
    write(this.title, "Alerts");
    this.list = element("ol", { class: "alert-list" });
    this.empty = element("p", { class: "quiet", text: "No alert yet." });
    this.body.append(this.empty, this.list);
    this.revision = -1;
  }

  render({ store, zone }) {
    if (this.revision === store.alertsRevision) return;
    this.revision = store.alertsRevision;
    const shown = store.alerts.slice(0, MOST_ROWS);
    this.empty.hidden = shown.length > 0;
    write(this.detail, shown.length ? `${store.alerts.length} since this page was opened` : "");
    this.list.replaceChildren(...shown.map((alert) => element("li", {},
      element("time", { text: clock(alert.time, zone) }), element("span", { class: "rule", text: plain([alert.rule, alert.subject].filter(Boolean).join(" · "), 80) }),
      element("span", { text: plain(alert.text, 300) }))));
  }
}
