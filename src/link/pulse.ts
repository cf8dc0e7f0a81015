/** Whether a link lives: who was silent for too long is taken for dead, so both say something. */
import type { Limits } from "../base/limits.ts"

export class Pulse {
  private readonly limits: Limits
  /** Since the last tick; and at which tick that was last so. */
  private spoke = true
  private heard = true
  private spokeMs = 0
  private heardMs = 0
  /** Nothing had come for too long at the last tick. */
  private overdue = false

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
    // A process that stood still wakes up to its clock first, and then to what came meanwhile.
    const dead = this.overdue
    this.overdue = nowMs - this.heardMs >= this.limits.silenceMsMax
    if (dead && this.overdue) return "dead"
    return nowMs - this.spokeMs >= this.limits.keepAliveMs ? "speak" : "alive"
  }
}
