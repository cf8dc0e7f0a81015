/** What a client counts for monitoring: calls by method and outcome, and how long they take. */
import type { ErrorCode } from "../base/errorCode.ts"
import { type Family, Histogram, type Labels } from "../base/families.ts"
import type { MethodId } from "../server/Message.ts"

class Row {
  readonly name: string
  readonly codes = new Map<ErrorCode | "ok" | "interrupted", number>()
  readonly latencySec = new Histogram()

  constructor(name: string) {
    this.name = name
  }
}

/** Methods of the services in use, which no peer chooses. */
export class CallMeter {
  private readonly nowMs: () => number
  private readonly rows = new Map<MethodId, Row>()

  /** @param nowMs with fractions */
  constructor(nowMs: () => number) {
    this.nowMs = nowMs
  }

  start(): number {
    return this.nowMs()
  }

  /** @param startMs what `start` returned */
  ended(id: MethodId, name: string, startMs: number, code: ErrorCode | "ok" | "interrupted"): void {
    let row = this.rows.get(id)
    if (row === undefined) this.rows.set(id, (row = new Row(name)))
    row.codes.set(code, (row.codes.get(code) ?? 0) + 1)
    row.latencySec.add((this.nowMs() - startMs) / 1000)
  }

  families(labels: Labels): ReadonlyArray<Family> {
    const rows = [...this.rows.values()]
    return [
      {
        name: "quorate_client_calls_total",
        help: "Calls that ended, by code; ok has an answer, interrupted was given up.",
        type: "counter",
        samples: rows.flatMap(({ name: method, codes }) =>
          [...codes].map(([code, value]) => ({ labels: { ...labels, method, code }, value }))
        )
      },
      {
        name: "quorate_client_call_duration_seconds",
        help: "From a call's start to its end, whatever its outcome.",
        type: "histogram",
        samples: rows.map((row) => row.latencySec.read({ ...labels, method: row.name }))
      }
    ]
  }
}
