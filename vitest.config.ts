import { defineConfig } from "vitest/config"

// With `quorate-source`, `import "quorate"` means src/: in vitest and in what Node runs for it.
const conditions = ["quorate-source", "node", "import", "default"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts", "apps/**/*.test.ts", "examples/**/*.test.ts"],
    pool: "forks",
    // Tests that start processes of their own need the second core.
    maxWorkers: 2,
    testTimeout: 30_000
  }
})
