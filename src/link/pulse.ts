/** Whether a link lives: who was silent for too long is taken for dead, so both say something. */
import type { Limits } from "../base/limits.ts"

export class Pulse {
  private readonly limits: Limits
  /** Since the last tick; and at which tick that was last so. */
  private spoke = true
  private heard = true
  private spokeMs = 0
  private heardMs = 0

  constructor(limits: Limits) {
    this.limits = limits
  }

  said(): void {
    this.spoke = true
  }
  took(): void {
    this.heard = true
  }

  /** Every `tickMs`: nothing to do, something is to be said, or nobody is there. */
  tick(nowMs: number): "alive" | "speak" | "dead" {
    if (this.heard) this.heardMs = nowMs
    if (this.spoke) this.spokeMs = nowMs
    this.heard = false
    this.spoke = false
    if (nowMs - this.heardMs >= this.limits.silenceMsMax) return "dead"
    return nowMs - this.spokeMs >= this.limits.keepAliveMs ? "speak" : "alive"
  }
}
