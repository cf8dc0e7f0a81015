import { describe, expect, it } from "vitest"
import {
  isTraced,
  readTraceparent,
  spanIdOf,
  traceContext,
  traceIdOf,
  traceparent
} from "../src/link/traceContext.ts"

const [traceId, spanId] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"]
const HEADER = `00-${traceId}-${spanId}-01`

describe("the context of a trace", () => {
  it("goes through the header and back", () => {
    const context = readTraceparent(HEADER)!
    expect(context).toHaveLength(25)
    expect([traceIdOf(context), spanIdOf(context)]).toEqual([traceId, spanId])
    expect(context).toEqual(traceContext({ traceId, spanId }))
    expect(traceparent(context)).toBe(HEADER)
  })

  it("of a later version is read as far as it is known", () => {
    expect(readTraceparent(`cc-${traceId}-${spanId}-03-what-comes-later`)?.[24]).toBe(3)
  })

  it.each([
    `00-${traceId}-${spanId}-00`,
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${traceId}-${spanId}`,
    "",
    undefined,
    [HEADER, HEADER]
  ])("is not taken from %j", (header) => {
    expect(readTraceparent(header)).toBeUndefined()
  })

  it("is not made of ids that are none of W3C's", () => {
    expect(traceContext({ traceId: "span-1", spanId })).toBeUndefined()
    expect(traceContext({ traceId: "0".repeat(32), spanId })).toBeUndefined()
    expect(isTraced(new Uint8Array(24).fill(1))).toBe(false)
  })
})
