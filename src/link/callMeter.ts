/** What a client counts for monitoring: calls by method and outcome, and how long they take. */
import { type Family, Histogram, type Labels } from "../base/families.ts"
import type { MethodId } from "../server/Message.ts"
import type { CallEnd, CallWatch } from "./callTypes.ts"

class Row {
  readonly name: string
  ok = 0
  /** Of those that failed, or were given up. */
  readonly codes = new Map<CallEnd, number>()
  readonly latencySec = new Histogram()

  constructor(name: string) {
    this.name = name
  }
}

/** Methods of the services in use, which no peer chooses. */
export class CallMeter implements CallWatch {
  private readonly nowMs: () => number
  private readonly rows = new Map<MethodId, Row>()

  /** @param nowMs with fractions */
  constructor(nowMs: () => number) {
    this.nowMs = nowMs
  }

  started(): number {
    return this.nowMs()
  }

  ended(
    _id: number,
    { method, name = "other" }: { readonly method: MethodId; readonly name?: string },
    startedMs: number,
    code: CallEnd
  ): void {
    let row = this.rows.get(method)
    if (row === undefined) this.rows.set(method, (row = new Row(name)))
    if (code === "ok") row.ok++
    else row.codes.set(code, (row.codes.get(code) ?? 0) + 1)
    row.latencySec.add((this.nowMs() - startedMs) / 1000)
  }

  families(labels: Labels): ReadonlyArray<Family> {
    const rows = [...this.rows.values()]
    return [
      {
        name: "quorate_client_calls_total",
        help: "Calls that ended, by code; ok has an answer, interrupted was given up.",
        type: "counter",
        samples: rows.flatMap(({ name: method, ok, codes }) =>
          [["ok", ok] as const, ...codes].map(([code, value]) => ({
            labels: { ...labels, method, code },
            value
          }))
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
