import { defineConfig } from "vitest/config"

export default defineConfig({
  resolve: { conditions: ["quorate-source", "node", "import", "module", "default"] },
  ssr: { resolve: { conditions: ["quorate-source", "node", "import", "module", "default"] } },
  test: {
    include: ["test/**/*.test.ts", "apps/**/test/*.test.ts", "examples/**/*.test.ts"],
    testTimeout: 30_000
  }
})
