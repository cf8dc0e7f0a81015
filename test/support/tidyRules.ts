/** What may not stand where, and what to write instead. */
export interface Ban {
  readonly where: RegExp
  /** Names as `syntaxOf` finds them: `Date.now`, `.sleep`, `await`, `new Date`. */
  readonly names: RegExp
  readonly instead: string
}

/** The folders whose code is synchronous and pure. */
export const PURE = /^src\/(base|server|link)\/|^src\/quorum\/[^/]+$/
const SIMULATED = /^src\/testing\//
const PURE_OR_SIMULATED = new RegExp(`${PURE.source}|${SIMULATED.source}`)
const TEST = /^test\/|\.test\.ts$/

export const BANS: ReadonlyArray<Ban> = [
  {
    where: PURE_OR_SIMULATED,
    names: /^(Date\.now|new Date|performance|Date)$/,
    instead: "time is `atMs` of an input, or the Clock port of src/link/ports.ts"
  },
  {
    where: new RegExp(`${PURE_OR_SIMULATED.source}|^(test|apps|examples)/`),
    names: /^Math\.random$/,
    instead: "a seeded Prng (src/base/prng.ts), or the Crypto port of src/link/ports.ts"
  },
  {
    where: PURE_OR_SIMULATED,
    names: /^(set(Timeout|Interval|Immediate)|clear(Timeout|Interval|Immediate)|queueMicrotask)$/,
    instead: "time and turns are inputs (src/server/Input.ts): the host wakes and ticks"
  },
  {
    where: PURE,
    names: /^(async|await|Promise|new Promise)$/,
    instead: "the cores never wait: return an output, take its result as an input"
  },
  {
    where: PURE_OR_SIMULATED,
    names: /^(console|process)$/,
    instead: "return a report (src/server/Output.ts) or throw a Defect (src/base/assert.ts)"
  },
  {
    where: PURE,
    names: /^(globalThis|require|fetch|crypto|Buffer|TextEncoder|TextDecoder|structuredClone)$/,
    instead: "what the world offers comes in through src/link/ports.ts"
  },
  {
    where: PURE_OR_SIMULATED,
    names: /^(Math\.(log\w*|exp\w*|pow|sinh?|cosh?|tanh?)|Intl|\.localeCompare|\.toLocale\w+)$/,
    instead: "integers, and order by code unit: the same seed must give the same run everywhere"
  },
  {
    where: TEST,
    names: /^((it|test|describe|suite|layer)(\.\w+)*|ctx|context)\.(skip|only|todo)$/,
    instead: "a test runs, or it goes: what is known to fail is listed in a file"
  },
  {
    // These two delay and disturb in time: that is what they are for.
    where: /^test\/(?!support\/(faultProxy|realRun)\.ts)|\.test\.ts$/,
    names: /^(setTimeout|setInterval|sleep|\.sleep|Effect\.delay|Atomics\.wait)$/,
    instead:
      "wait for the thing itself: vi.waitFor, an event, a line; AbortSignal.timeout bounds it"
  }
]

/** Imports that a ban speaks of rather than the import table. */
export const IMPORT_BANS: ReadonlyArray<Ban> = [
  {
    where: PURE,
    names: /^(effect|@effect)(\/|$)/,
    instead: "plain data: Effect lives in src/runtime and src/quorum/client"
  },
  {
    where: TEST,
    names: /^(node:)?timers(\/|$)/,
    instead: "wait for the thing itself: vi.waitFor, an event, a line of output"
  }
]

/** Text that may stand in no file: what a reader of the repository cannot follow. */
export const TEXT_BANS: ReadonlyArray<{
  readonly names: RegExp
  readonly except: RegExp
  readonly instead: string
}> = [
  {
    names: /\/work\/|\.\.\/shared\b(?!\.|\/\w+\.ts)/,
    except: /^$/,
    instead: "no path outside the repository"
  },
  {
    names: /\b(DESIGN|STYLE)\.md\b|\bdesign\/\w+\.md\b/,
    except: /^$/,
    instead: "docs/ARCHITECTURE.md, or the reason itself"
  },
  { names: /\bissues? \d+\b/i, except: /^$/, instead: "say `a later release`" },
  { names: /\b(TODO|FIXME|XXX|HACK)\b/, except: /^$/, instead: "do it, or leave it out cleanly" },
  { names: /@ts-(ignore|nocheck)\b/, except: /^$/, instead: "mend the type" },
  {
    names: /@ts-expect-error\b/,
    except: /^test\/(types|plugin)\//,
    instead: "what must not compile is tested in test/types"
  }
]

export const LINES_MAX = 400
export const FUNCTION_LINES_MAX = 70
export const COLUMNS_MAX = 100
