import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { IndexTable } from "../src/base/indexTable.ts"

/** The slow obvious twin: a Map, sorted where order counts. */
const expectSame = (table: IndexTable<string>, twin: ReadonlyMap<number, string>): void => {
  const sorted = [...twin].sort(([a], [b]) => a - b)
  expect(table.size).toBe(twin.size)
  expect(table.values()).toEqual(sorted.map(([, value]) => value))
  for (const [key, value] of sorted) {
    expect(table.get(key)).toBe(value)
    expect(table.has(key)).toBe(true)
  }
}

const twins = (ringMax: number) => {
  const table = new IndexTable<string>(ringMax)
  const twin = new Map<number, string>()
  return {
    table,
    twin,
    set: (key: number, value: string) => {
      table.set(key, value)
      twin.set(key, value)
    },
    delete: (key: number) => {
      table.delete(key)
      twin.delete(key)
    }
  }
}

describe("IndexTable", () => {
  it("does what a Map does, whatever the numbers", () => {
    const key = fc.oneof(fc.nat(40), fc.nat(3000), fc.constantFrom(2 ** 32, 2 ** 52, 2 ** 52 + 16))
    const step = fc.record({ key, remove: fc.boolean() })
    fc.assert(
      fc.property(fc.constantFrom(1, 16, 20, 64), fc.array(step), (ringMax, steps) => {
        const both = twins(ringMax)
        for (const [i, { key, remove }] of steps.entries()) {
          if (remove) both.delete(key)
          else both.set(key, `${i}`)
          expect(both.table.has(key)).toBe(!remove)
        }
        expectSame(both.table, both.twin)
      })
    )
  })

  it("keeps what stays behind while others come and go", () => {
    const both = twins(64)
    both.set(1, "late")
    for (let key = 2; key < 10_000; key++) {
      both.set(key, `${key}`)
      if (key > 40) both.delete(key - 39)
    }
    expectSame(both.table, both.twin)
    both.set(1, "later")
    both.delete(2)
    expectSame(both.table, both.twin)
    both.delete(1)
    expect(both.table.get(1)).toBeUndefined()
    expect(both.table.size).toBe(both.twin.size)
  })
})
