/** A protocol's timers: when each fires next. As many as are declared; none survives a restart. */
import type { Method } from "./handlers.ts"

interface Armed {
  readonly dueMs: number
}

export class Timers {
  private readonly armed = new Map<Method, Armed>()

  /** Arming again replaces; `undefined` disarms. */
  arm(timer: Method, dueMs: number | undefined): void {
    this.armed.delete(timer)
    if (dueMs !== undefined) this.armed.set(timer, { dueMs })
  }

  /** When the next one fires. */
  get dueMs(): number | undefined {
    let least: number | undefined
    for (const { dueMs } of this.armed.values()) {
      if (least === undefined || dueMs < least) least = dueMs
    }
    return least
  }

  /**
   * Fires what is due, the earliest first. What one of them disarms or arms anew does not fire now,
   * so this ends.
   */
  fire(atMs: number, fired: (timer: Method) => void): void {
    if (this.armed.size === 0) return
    const due = [...this.armed].filter(([, { dueMs }]) => dueMs <= atMs)
    for (const [timer, armed] of due.sort(([, a], [, b]) => a.dueMs - b.dueMs)) {
      if (this.armed.get(timer) !== armed) continue
      this.armed.delete(timer)
      fired(timer)
    }
  }
}
