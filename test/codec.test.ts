import { create, createFileRegistry, fromBinary, isMessage, toBinary } from "@bufbuild/protobuf"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { codecOf } from "../src/runtime/internal/codec.ts"
import { compileDecode } from "../src/runtime/internal/fastDecode.ts"
import { compileEncode } from "../src/runtime/internal/fastEncode.ts"
import { compileProtos } from "./plugin/generate.ts"

const registry = createFileRegistry(
  compileProtos({
    "t/v1/t.proto": `
      syntax = "proto3";
      package t.v1;
      import "google/protobuf/empty.proto";
      import "google/protobuf/wrappers.proto";
      enum Colour { COLOUR_UNSPECIFIED = 0; RED = 1; FAR = 70000; NEGATIVE = -1; }
      message Plain {
        uint32 u = 1; int32 i = 2; sint32 s = 3; bool b = 4; string t = 5; bytes y = 6;
        Colour e = 7; Plain child = 8;
        repeated uint32 us = 9; repeated string ts = 10; repeated Plain children = 11;
        repeated Colour es = 12; repeated bytes ys = 13; repeated int32 loose = 14 [packed = false];
        oneof one { uint32 ou = 15; string ot = 16; Plain oc = 17; bytes oy = 18; bool ob = 19; }
        optional uint32 pu = 20; optional string pt = 21; optional bytes py = 22;
        optional bool pb = 23; optional Colour pe = 24; optional Plain pc = 25;
        google.protobuf.Empty empty = 26; uint32 far = 536870911;
      }
      message Long { uint64 n = 1; Plain plain = 2; }
      message Mapped { map<string, uint32> m = 1; }
      message Wrapped { google.protobuf.UInt32Value n = 1; }
      message Holds { Mapped mapped = 1; }
      message Loop { Loop loop = 1; }
    `
  })
)
const desc = (name: string) => registry.getMessage(`t.v1.${name}`)!
const PLAIN = desc("Plain")

/** What the call gives, or that it throws. */
const outcome = <A>(run: () => A): A | "throws" => {
  try {
    return run()
  } catch {
    return "throws"
  }
}
const READ = { readUnknownFields: false }
const codec = codecOf(PLAIN)
const encode = compileEncode(PLAIN)!
const decode = compileDecode(PLAIN)!
const slowEncode = (init: object) => toBinary(PLAIN, create(PLAIN, init as {}))
const slowDecode = (bytes: Uint8Array) => fromBinary(PLAIN, bytes, READ)

const u32 = fc.oneof(fc.nat(300), fc.nat(0xffff_ffff), fc.constantFrom(0xffff_ffff, 0x8000_0000))
const i32 = fc.oneof(fc.integer({ min: -2, max: 300 }), fc.integer())
const text = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.string({ minLength: 126, maxLength: 130 }),
  fc.constantFrom("\ud800", "\ufeffa", "é".repeat(70), "a".repeat(17_000))
)
const raw = fc.oneof(
  fc.uint8Array({ maxLength: 4 }),
  fc.uint8Array({ minLength: 62, maxLength: 66 }),
  fc.constant(new Uint8Array(140).fill(7))
)
const colour = fc.oneof(fc.constantFrom(0, 1, 70_000, -1), i32)
const few = <A>(of: fc.Arbitrary<A>) => fc.array(of, { maxLength: 3 })
const fields = (child: fc.Arbitrary<object>) => ({
  u: u32,
  i: i32,
  s: i32,
  b: fc.boolean(),
  t: text,
  y: raw,
  e: colour,
  child,
  us: few(u32),
  ts: few(text),
  children: few(child),
  es: few(colour),
  ys: few(raw),
  loose: few(i32),
  one: fc.oneof(
    fc.record({ case: fc.constant("ou"), value: u32 }),
    fc.record({ case: fc.constant("ot"), value: text }),
    fc.record({ case: fc.constant("oc"), value: child }),
    fc.record({ case: fc.constant("oy"), value: raw }),
    fc.record({ case: fc.constant("ob"), value: fc.boolean() }),
    fc.constant({ case: undefined })
  ),
  pu: u32,
  pt: text,
  py: raw,
  pb: fc.boolean(),
  pe: colour,
  pc: child,
  empty: fc.constant({}),
  far: u32
})
const { init } = fc.letrec<{ init: object }>((tie) => ({
  init: fc.record(fields(fc.oneof({ maxDepth: 2 }, fc.constant({}), tie("init"))), {
    requiredKeys: []
  })
}))
/** A value that has no business where it is put. */
const odd = fc.constantFrom<unknown>(
  ...[null, undefined, 0, -0, "", "7", true, -1, 1.5, 2 ** 32, Number.NaN, 5n, [], {}, [1, 2]],
  ...[{ $typeName: "t.v1.Long" }, { case: "nope" }, { case: "ou" }, { case: "oc", value: 5 }]
)

describe("the codec of plain messages", () => {
  it("writes what toBinary writes, of fields and of messages", () => {
    fc.assert(
      fc.property(init, (fields) => {
        const expected = slowEncode(fields)
        expect(codec.encode(fields)).toEqual(expected)
        expect(codec.encode(create(PLAIN, fields as {}))).toEqual(expected)
      }),
      { numRuns: 300 }
    )
  })

  it("decides like toBinary about values that have no business there", () => {
    const key = fc.constantFrom(...Object.keys(fields(fc.constant({}))))
    fc.assert(
      fc.property(init, key, odd, (fields, name, value) => {
        const wrong = { ...fields, [name]: value }
        const expected = outcome(() => slowEncode(wrong))
        expect(outcome(() => codec.encode(wrong))).toEqual(expected)
      }),
      { numRuns: 5000 }
    )
  })

  it("reads what fromBinary reads", () => {
    fc.assert(
      fc.property(init, (fields) => {
        const bytes = slowEncode(fields)
        const message = codec.decode(bytes)
        expect(message).toEqual(slowDecode(bytes))
        expect(isMessage(message, PLAIN)).toBe(true)
      }),
      { numRuns: 300 }
    )
  })

  it("decides like fromBinary about bytes that nobody wrote", () => {
    const change = fc.record({ at: fc.nat(), byte: fc.nat(255), kind: fc.nat(3) })
    const changed = fc
      .tuple(init, fc.array(change, { minLength: 1, maxLength: 3 }))
      .map(([fields, changes]) => {
        const bytes = [...slowEncode(fields).subarray(0, 300)]
        for (const { at, byte, kind } of changes) {
          const place = at % (bytes.length + 1)
          if (kind === 0) bytes.splice(place, 0, byte)
          else if (kind === 1) bytes.splice(place, 1)
          else if (kind === 2) bytes.splice(place)
          else bytes[place] = byte
        }
        return Uint8Array.from(bytes)
      })
    const random = fc.uint8Array({ maxLength: 24 })
    fc.assert(
      fc.property(fc.oneof(changed, random), (bytes) => {
        expect(outcome(() => codec.decode(bytes))).toEqual(outcome(() => slowDecode(bytes)))
      }),
      { numRuns: 5000 }
    )
  })

  it("takes messages in parts, and fields in any order and packing, like fromBinary", () => {
    const part = init.map(slowEncode)
    const packings = fc.constantFrom(
      ...[
        [9 << 3, 1, 9 << 3, 2],
        [(14 << 3) | 2, 2, 1, 2]
      ].map((b) => Uint8Array.from(b))
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(part, packings), { maxLength: 3 }), (parts) => {
        const bytes = new Uint8Array(Buffer.concat(parts))
        expect(codec.decode(bytes)).toEqual(slowDecode(bytes))
      })
    )
  })

  it("is fast where nothing is out of the ordinary", () => {
    const ordinary = { u: 1, i: 2, s: -3, t: "text", y: new Uint8Array(3), child: { us: [1, 2] } }
    const bytes = encode({ ...ordinary, one: { case: "ot", value: "x" }, empty: {} })!
    expect(bytes).toBeDefined()
    expect(decode(bytes)).toBeDefined()
    expect(encode({ i: -1 })).toBeUndefined()
    expect(decode(Uint8Array.of(0x7f, 1))).toBeUndefined()
  })

  it("keeps nothing of the bytes in a short field, and shares a long one", () => {
    const bytes = slowEncode({ y: new Uint8Array(20).fill(1), py: new Uint8Array(100).fill(2) })
    const message = decode(bytes) as { y: Uint8Array; py: Uint8Array }
    bytes.fill(9)
    expect(message.y).toEqual(new Uint8Array(20).fill(1))
    expect(message.py).toEqual(new Uint8Array(100).fill(9))
  })

  it("leaves other types to protobuf-es", () => {
    for (const name of ["Long", "Mapped", "Wrapped", "Holds"]) {
      expect(compileEncode(desc(name))).toBeUndefined()
      expect(compileDecode(desc(name))).toBeUndefined()
    }
    const long = codecOf(desc("Long"))
    const fields = { n: 2n ** 60n, plain: { u: 5 } }
    expect(long.decode(long.encode(fields))).toEqual(create(desc("Long"), fields))
  })

  it("follows a message into itself only so far", () => {
    const loop = codecOf(desc("Loop"))
    const deep = (levels: number): object => (levels === 0 ? {} : { loop: deep(levels - 1) })
    for (const levels of [10, 30, 40, 90]) {
      const bytes = loop.encode(deep(levels))
      expect(bytes).toEqual(toBinary(desc("Loop"), create(desc("Loop"), deep(levels) as {})))
      expect(loop.decode(bytes)).toEqual(fromBinary(desc("Loop"), bytes))
    }
    expect(() => loop.decode(loop.encode(deep(200)))).toThrow("recursion")
  })

  it("a getter that encodes another message disturbs nothing", () => {
    const sly = {
      get t() {
        codec.encode({ u: 7 })
        return "b"
      },
      u: 1
    }
    expect(codec.encode(sly)).toEqual(slowEncode({ t: "b", u: 1 }))
    const throwing = {
      get t(): string {
        throw new RangeError("mine")
      }
    }
    expect(() => codec.encode(throwing)).toThrow("mine")
    expect(codec.encode({ u: 1 })).toEqual(slowEncode({ u: 1 }))
  })
})
