/** Families of samples, their text, and what the strict reader of that text refuses. */
import { describe, expect, it } from "vitest"
import { type Family, Histogram, Meters, mergeFamilies } from "../src/base/families.ts"
import { exposition } from "../src/runtime/internal/exposition.ts"
import { readExposition } from "./support/exposition.ts"

const counter = (value: number, labels = {}): Family => ({
  ...{ name: "a_total", help: "A.", type: "counter" },
  samples: [{ labels, value }]
})

describe("a histogram", () => {
  it("counts a value in the first bucket that holds it", () => {
    const histogram = new Histogram([1, 10])
    for (const value of [0, 1, 1.5, 10, 11, 1000]) histogram.add(value)
    expect(histogram.read({})).toEqual({
      labels: {},
      bounds: [1, 10],
      counts: [2, 2, 2],
      sum: 1023.5
    })
  })
})

describe("families", () => {
  it("are merged by name, and samples with the same labels are added", () => {
    const histogram = new Histogram([1])
    histogram.add(3)
    const timed: Family = {
      ...{ name: "t_seconds", help: "T.", type: "histogram" },
      samples: [histogram.read({ x: "1" }), histogram.read({ x: "1" })]
    }
    const merged = mergeFamilies([timed, counter(1), counter(2), counter(5, { node: "1" })])
    expect(merged.map(({ name }) => name)).toEqual(["a_total", "t_seconds"])
    expect(merged[0]!.samples).toEqual([
      { labels: {}, value: 3 },
      { labels: { node: "1" }, value: 5 }
    ])
    expect(merged[1]!.samples).toEqual([
      { labels: { x: "1" }, bounds: [1], counts: [0, 2], sum: 6 }
    ])
  })

  it("leave with what they belong to", () => {
    const meters = new Meters()
    const leave = meters.add(() => [counter(1)])
    meters.add(() => [counter(2)])
    expect(meters.read()[0]!.samples).toEqual([{ labels: {}, value: 3 }])
    leave()
    expect(meters.read()[0]!.samples).toEqual([{ labels: {}, value: 2 }])
  })

  it("are written so that a strict reader reads the same", () => {
    const histogram = new Histogram([0.5, 2])
    for (const value of [0.1, 1, 3]) histogram.add(value)
    const strange = 'a "quoted" \\ text\nof two lines, {a="b"}'
    const text = exposition([
      counter(1e21, { strange }),
      { ...{ name: "g", help: `h\n${strange}`, type: "gauge" }, samples: [] },
      { ...{ name: "t", help: "T.", type: "histogram" }, samples: [histogram.read({ m: "x" })] }
    ])
    const read = readExposition(text)
    expect([...read.keys()]).toEqual(["a_total", "g", "t"])
    expect([...read.get("a_total")!.series.values()]).toEqual([1e21])
    expect(Object.fromEntries(read.get("t")!.series)).toEqual({
      't_bucket{m="x",le="0.5"}': 1,
      't_bucket{m="x",le="2"}': 2,
      't_bucket{m="x",le="+Inf"}': 3,
      't_sum{m="x"}': 4.1,
      't_count{m="x"}': 3
    })
  })
})

describe("the strict reader", () => {
  const timed = "# HELP h H.\n# TYPE h histogram\n"
  const head = "# HELP a_total A.\n# TYPE a_total counter\n"
  it.each([
    `${head}a_total 1`,
    `${head}a_total 1\na_total 2\n`,
    `${head}a_total{x="1",x="2"} 1\n`,
    `${head}a_total{x="\n"} 1\n`,
    `${head}a_total one\n`,
    `${head}a_total -1\n`,
    `${head}b_total 1\n`,
    "a_total 1\n",
    `${head}${head}`,
    "# HELP a A.\n# TYPE a counter\n",
    `${timed}h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n`,
    `${timed}h_bucket{le="1"} 2\nh_sum 1\nh_count 2\n`
  ])("refuses %j", (text) => {
    expect(() => readExposition(text)).toThrow()
  })
})
