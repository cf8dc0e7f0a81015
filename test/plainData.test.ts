import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { decodePlain, encodePlain, NotPlain } from "../src/base/plainData.ts"
import { Prng } from "../src/base/prng.ts"

const units = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd7f0, max: 0xe010 })))
  .map((codes) => String.fromCharCode(...codes))
const scalar = fc.oneof(
  fc.constantFrom(undefined, null, true, false, 0, -0, Number.NaN, Infinity, -Infinity),
  fc.constantFrom(2 ** 53 - 1, 2 ** 53, -(2 ** 53) + 1, -(2 ** 53), 2 ** 52, 1e300),
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  units,
  fc.constantFrom("__proto__", "constructor", "", "7"),
  fc.uint8Array()
)
const { plain } = fc.letrec<{ plain: unknown }>((tie) => ({
  plain: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie("plain")),
    fc.array(fc.tuple(scalar, tie("plain"))).map((entries) => new Map(entries)),
    fc.array(scalar).map((items) => new Set(items)),
    fc.array(fc.tuple(units, tie("plain"))).map((entries) => Object.fromEntries(entries))
  )
}))

const refusal = (value: unknown): string => {
  try {
    encodePlain(value)
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(NotPlain)
    return (thrown as Error).message
  }
  return "taken"
}

describe("plain data", () => {
  it("is read back as it was written, order included, and has one encoding", () => {
    fc.assert(
      fc.property(plain, (value) => {
        const bytes = encodePlain(value)
        const back = decodePlain(bytes)
        expect(back).toStrictEqual(value)
        expect(encodePlain(back)).toEqual(bytes)
      }),
      { numRuns: 500 }
    )
  })

  it("keeps insertion order, which equality does not see", () => {
    const value = {
      map: new Map([[2, "b"] as const, [1, "a"] as const]),
      set: new Set([3, 1, 2]),
      b: 1,
      a: 2
    }
    const back = decodePlain(encodePlain(value)) as typeof value
    expect([...back.map.keys(), ...back.set, ...Object.keys(back)]).toEqual(
      [2, 1, 3, 1, 2, "map", "set", "b", "a"] // biome-ignore format: one line
    )
  })

  it("of every NaN is the same", () => {
    const other = new Float64Array(new Uint8Array([1, 0, 0, 0, 0, 0, 0xf8, 0xff]).buffer)
    expect(encodePlain(other[0])).toEqual(encodePlain(Number.NaN))
    expect(decodePlain(encodePlain(other[0]))).toBe(Number.NaN)
  })

  it("takes own enumerable keys, also one that names the prototype", () => {
    const value = JSON.parse('{"__proto__": {"a": 1}}') as object
    const back = decodePlain(encodePlain(value)) as object
    expect(Object.keys(back)).toEqual(["__proto__"])
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype)
    expect(decodePlain(encodePlain(Object.assign(Object.create(null), { a: 1 })))).toEqual({ a: 1 })
  })

  it("gives bytes of its own, also for a Buffer", () => {
    const back = decodePlain(encodePlain(Buffer.from("abc"))) as Uint8Array
    expect(back.constructor).toBe(Uint8Array)
    expect([...back]).toEqual([97, 98, 99])
  })

  it("refuses what is not plain, and says where it stands", () => {
    class Slot {}
    const cycle: Record<string, unknown> = {}
    cycle["self"] = cycle
    expect(refusal({ slots: [0, 1, { run: () => 0 }] })).toBe("$.slots[2].run is a function")
    expect(refusal({ a: new Map([["x", new Slot()]]) })).toBe("$.a.get(x) is of class Slot")
    expect(refusal(new Map([[new Date(0), 1]]))).toBe("$.keys()[0] is of class Date")
    expect(refusal(new Set([Symbol("s")]))).toBe("$.values()[0] is a symbol")
    expect(refusal([new Float64Array(1)])).toBe("$[0] is of class Float64Array")
    // biome-ignore lint/suspicious/noSparseArray: a hole is what is refused
    expect(refusal({ a: [1, , 2] })).toBe("$.a[1] is a hole in an array")
    expect(refusal(cycle)).toMatch(/^\$(\.self){128} is more than 128 levels deep$/)
    expect(refusal(Object.create({ inherited: 1 }))).toBe("$ is of class Object")
    expect(refusal(Object.create(Object.create(null)))).toBe("$ is of class undefined")
  })
})

describe("bytes that are no plain data", () => {
  const decoded = (bytes: Uint8Array): unknown => {
    try {
      return decodePlain(bytes)
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(NotPlain)
      return NotPlain
    }
  }

  it("are refused or are data; nothing else happens", () => {
    const prng = new Prng(20)
    const sample = encodePlain({ a: [1, -2, 3.5, 4n], m: new Map([["k", new Set(["v"])]]) })
    for (let i = 0; i < 20_000; i++) {
      const bytes = prng.chance(500) ? prng.bytes(prng.below(40)) : sample.slice()
      for (let j = prng.below(3); j > 0; j--) {
        if (bytes.length > 0) bytes[prng.below(bytes.length)] = prng.below(256)
      }
      decoded(bytes.subarray(0, prng.below(bytes.length + 1)))
    }
  })

  it("are refused when cut anywhere or followed by more", () => {
    const bytes = encodePlain([{ a: 300, b: "text" }, new Uint8Array(5), -7n, 0.5])
    for (let end = 0; end < bytes.length; end++) {
      expect(decoded(bytes.subarray(0, end))).toBe(NotPlain)
    }
    expect(decoded(Uint8Array.of(...bytes, 0))).toBe(NotPlain)
  })

  it("cost no more than their length: a count is not believed, nesting is bounded", () => {
    const many = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]
    for (let tag = 0; tag < 20; tag++) {
      expect(decoded(Uint8Array.of(tag, ...many, 0, 0, 0)), `tag ${tag}`).toBe(NotPlain)
    }
    expect(decoded(new Uint8Array(1_000_000).fill(12))).toBe(NotPlain)
    const deep = new Uint8Array(400).map((_, i) => (i % 2 === 0 ? 12 : 1))
    expect(decoded(deep)).toBe(NotPlain)
  })
})
