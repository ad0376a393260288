namespace IlgpuLoader.Cli.Tests;

/// <summary>Every case that has a golden file.</summary>
internal static class GoldenCases
{
    // Where the machine has GPUs, 'auto' is another device, and lanes are as many as its cores.
    private const string OnHost = "--device host --lanes 1 --memory 1MiB";

    private static readonly string[] Names =
        ["inspect", "verify", "audit", "hash", "show", "diff", "plan", "load", "bench", "convert", "shard", "synth", "download", "cache", "serve", "health", "devices", "completions"];

    /// <summary>All cases, in no order that matters.</summary>
    public static IReadOnlyList<GoldenCase> All { get; } =
    [
        .. Names.Select(name => new GoldenCase($"{name}/help", $"{name} --help")),
        .. OfTheTool(), .. OfErrors(), .. OfInspect(), .. OfVerify(), .. OfAudit(), .. OfHash(), .. OfShow(), .. OfDiff(), .. OfPlan(), .. OfLoad(), .. OfConvert(),
        .. OfOthers(),
    ];

    private static IEnumerable<GoldenCase> OfTheTool() =>
    [
        new("tool/help", "--help"),
        new("tool/version", "--version") { Rules = [Scrubbing.Version] },
        GoldenCase.InBothForms("tool/no-command", ""),
        GoldenCase.InBothForms("tool/unknown-command", "inspct {tmp}/mixed.safetensors", "--tree"),
    ];

    // One of each exit code; 6 is in diff and load, 130 needs somebody to cancel.
    private static IEnumerable<GoldenCase> OfErrors() =>
    [
        GoldenCase.InBothForms(
            "errors/2-usage",
            "inspect",
            "inspect {tmp}/mixed.safetensors {tmp}/tied.safetensors",
            "inspect {tmp}/mixed.safetensors --tre",
            "inspect {tmp}/mixed.safetensors --tree --stats",
            "inspect {tmp}/mixed.safetensors --device host",
            "inspect {tmp}/mixed.safetensors --stats --device meta",
            "show {tmp}/values.safetensors vector --device meta",
            "load {tmp}/mixed.safetensors --device meta --check-finite",
            "load {tmp}/mixed.safetensors --dtype u8",
            "load {tmp}/mixed.safetensors --lanes many",
            "load {tmp}/mixed.safetensors --lanes 0",
            "load {tmp}/mixed.safetensors --memory lots",
            "load {tmp}/mixed.safetensors --repeat=-1",
            "bench {tmp}/mixed.safetensors --rounds 0",
            "bench {tmp}/mixed.safetensors --device meta",
            "bench {tmp}/mixed.safetensors --dtype q4_0",
            "plan {tmp}/mixed.safetensors --tp 2 --rank 2",
            "plan {tmp}/mixed.safetensors --rank 1",
            "load {samples}/tiny-llama --tp 2",
            "load {samples}/tiny-llama --weights {tmp}/mixed.safetensors",
            "plan {samples}/tiny-llama --model --strict --tolerant",
            "inspect {samples}/tiny-llama --model --tree",
            "inspect {samples}/tiny-llama --tp 2",
            "hash {tmp}/mixed.safetensors --values f32 --write {tmp}/manifest.json",
            "show {tmp}/values.safetensors vector --count -1",
            "convert {tmp}/mixed.safetensors {tmp}/out.safetensors --max-shard-size 10",
            "convert {tmp}/mixed.safetensors {tmp} --force",
            "convert {tmp}/mixed.safetensors {tmp}/out.gguf --format safetensors",
            "convert {tmp}/mixed.safetensors {tmp}/out --format onnx",
            "synth bert {tmp}/out",
            "synth llama {tmp}/out --layers 0",
            "synth llama {tmp}/out --hidden 100 --heads 3"),
        // The word behind such an option is its value, whatever it is.
        new("errors/2-no-value", "inspect {tmp}/mixed.safetensors --variant", "inspect {tmp}/mixed.safetensors --json --variant"),
        GoldenCase.InBothForms(
            "errors/3-unreadable",
            "inspect {tmp}/none.safetensors",
            "hash {tmp}/mixed.safetensors --write {tmp}/none/manifest.json",
            "load {tmp}/mixed.safetensors --verify {tmp}/none.json",
            "convert {tmp}/mixed.safetensors {tmp}/left.safetensors",
            "convert {tmp}/mixed.safetensors {tmp}/none/out.safetensors",
            "convert {tmp}/mixed.safetensors {tmp}/two",
            "synth llama {tmp}/two"),
        GoldenCase.InBothForms(
            "errors/4-invalid",
            "inspect {tmp}/truncated.safetensors",
            "inspect {tmp}/two --variant none",
            "load {tmp}/mixed.safetensors --verify {tmp}/fp8/config.json"),
        GoldenCase.InBothForms(
            "errors/5-cannot-do",
            "inspect {tmp}/model.h5",
            "show {tmp}/mixed.safetensors block.0.f31",
            "convert {tmp}/mixed.safetensors {tmp}/out.gguf",
            "convert {tmp}/blocks.gguf {tmp}/out.safetensors",
            "plan {samples}/tiny-llama --tp 3",
            "plan {samples}/tiny-llama --model --tp 3",
            "load {samples}/tiny-llama --model --exclude *norm*",
            "load {tmp}/mixed.safetensors --model"),
        GoldenCase.InBothForms(
            "errors/7-device-or-memory",
            "load {tmp}/enormous.safetensors --read buffered " + OnHost,
            "plan {tmp}/enormous.safetensors --read buffered " + OnHost),
        new("errors/7-no-such-device", "load {tmp}/mixed.safetensors --device cuda:77", "load {tmp}/mixed.safetensors --device cuda:77 --json")
        {
            // GPUs where there are some; and why there are none, where drivers failed or ILGPU is missing.
            Rules = [new("there are host(?<v>.*), meta and auto", ""), new("meta and auto\\.(?<v> [^\"\n]*)", "")],
        },
    ];

    private static IEnumerable<GoldenCase> OfInspect() =>
    [
        GoldenCase.InBothForms("inspect/file", "inspect {tmp}/mixed.safetensors"),
        GoldenCase.InBothForms("inspect/folder", "inspect {samples}/tiny-llama --include *norm*"),
        GoldenCase.InBothForms("verify/values", "verify {tmp}/mixed.safetensors {tmp}/values.safetensors {tmp}/nan.gguf --values"),
        GoldenCase.InBothForms("inspect/gguf", "inspect {tmp}/blocks.gguf"),
        GoldenCase.InBothForms("inspect/torch", "inspect {tmp}/views.pt", "inspect {tmp}/checkpoint.pt --allow-unknown-globals --include model.fc*"),
        GoldenCase.InBothForms("inspect/torch-containers", "inspect {tmp}/stream.pt", "inspect {tmp}/script.pt --include none"),
        new("inspect/tree", "inspect {samples}/tiny-llama --tree", "inspect {tmp}/mixed.safetensors --tree"),
        GoldenCase.InBothForms("inspect/statistics", "inspect {tmp}/values.safetensors --stats"),
        GoldenCase.InBothForms("inspect/ties", "inspect {tmp}/tied.safetensors"),
        GoldenCase.InBothForms("inspect/warnings", "inspect {tmp}/two --include none", "inspect {tmp}/two --quiet"),
        GoldenCase.InBothForms("inspect/model", "inspect {samples}/tiny-llama --model --tp 2 --rank 1", "inspect {samples}/tiny-llama --model --exclude model.layers.1.* --tolerant"),
        new("inspect/hostile-names", "inspect {tmp}/hostile.safetensors"),
    ];

    private static IEnumerable<GoldenCase> OfVerify() =>
    [
        GoldenCase.InBothForms("verify/checksums", "verify {tmp}/flipped.pt", "verify {tmp}/views.pt {tmp}/flipped.pt {tmp}/arrays.npz --values"),
        GoldenCase.InBothForms("verify/valid", "verify {tmp}/mixed.safetensors {samples}/tiny-llama"),
        GoldenCase.InBothForms(
            "verify/all-kinds", "verify {tmp}/two {tmp}/truncated.safetensors {tmp}/none.safetensors {tmp}/model.h5 {tmp}/mixed.safetensors"),
    ];

    private static IEnumerable<GoldenCase> OfAudit() =>
    [
        GoldenCase.InBothForms("audit/safe", "audit {tmp}/stream.pt {tmp}/script.pt {tmp}/arrays.npz {tmp}/mixed.safetensors {tmp}/blocks.gguf"),
        GoldenCase.InBothForms("audit/unknown", "audit {tmp}/whole.pt", "audit {tmp}/whole.pt --allow-unknown-globals"),
        GoldenCase.InBothForms("audit/unsafe", "audit {tmp}/hostile"),
        GoldenCase.InBothForms("audit/broken", "audit {tmp}/broken.pkl {tmp}/model.h5 {tmp}/none.pt"),
        new("audit/verbose", "audit {tmp}/hostile/os_system.pt --verbose"),
        new("audit/nothing", "audit {tmp}/two", "audit {tmp}/two --json"),
    ];

    private static IEnumerable<GoldenCase> OfHash() =>
    [
        GoldenCase.InBothForms("hash/stored", "hash {tmp}/mixed.safetensors"),
        GoldenCase.InBothForms("hash/values", "hash {tmp}/mixed.safetensors --values f32 --device host"),
        GoldenCase.InBothForms("hash/several", "hash {tmp}/none.safetensors {tmp}/left.safetensors {tmp}/truncated.safetensors {tmp}/tied.safetensors"),
        new("hash/manifest", "hash {tmp}/left.safetensors --write {tmp}/manifest.json", "cat {tmp}/manifest.json"),
        GoldenCase.InBothForms("hash/manifest-fails", "hash {tmp}/tied.safetensors --write {tmp}/two"),
    ];

    private static IEnumerable<GoldenCase> OfShow() =>
    [
        .. new[] { "vector", "integers", "special", "complex", "scalar", "empty" }
            .Select(tensor => GoldenCase.InBothForms($"show/{tensor}", $"show {{tmp}}/values.safetensors {tensor}")),
        GoldenCase.InBothForms("show/matrix", "show {tmp}/values.safetensors matrix --count 3", "show {tmp}/values.safetensors matrix --count 0"),
    ];

    private static IEnumerable<GoldenCase> OfDiff() =>
    [
        GoldenCase.InBothForms("diff/equal", "diff {tmp}/left.safetensors {tmp}/left.safetensors --values"),
        GoldenCase.InBothForms("diff/headers", "diff {tmp}/left.safetensors {tmp}/right.safetensors"),
        GoldenCase.InBothForms("diff/values", "diff {tmp}/left.safetensors {tmp}/right.safetensors --values"),
        GoldenCase.InBothForms("diff/nothing-chosen", "diff {tmp}/left.safetensors {tmp}/right.safetensors --include none"),
    ];

    private static IEnumerable<GoldenCase> OfPlan() =>
    [
        GoldenCase.InBothForms("plan/host", "plan {tmp}/mixed.safetensors --dtype f32 " + OnHost),
        GoldenCase.InBothForms("plan/rank", "plan {samples}/tiny-llama --tp 2 --rank 1 --include *layers.0* " + OnHost),
        GoldenCase.InBothForms("plan/model", "plan {samples}/tiny-llama --model --tp 2 " + OnHost, "plan {samples}/tiny-llama --model --model-impl generic --tp 2 --rank 0 " + OnHost),
        GoldenCase.InBothForms("plan/all-ranks", "plan {samples}/tiny-llama --tp 2 --include *head* " + OnHost),
        GoldenCase.InBothForms("plan/ties", "plan {tmp}/tied.safetensors " + OnHost),
        GoldenCase.InBothForms("plan/meta", "plan {tmp}/enormous.safetensors --device meta --lanes 1"),
        GoldenCase.InBothForms("plan/mapped", "plan {tmp}/tied.safetensors --read mapped " + OnHost),
        new("plan/warnings", "plan {tmp}/mixed.safetensors --tp 2 --rank 0 " + OnHost, "plan {tmp}/mixed.safetensors --include none " + OnHost),
    ];

    private static IEnumerable<GoldenCase> OfLoad() =>
    [
        GoldenCase.InBothForms("load/as-stored", $"load {{samples}}/tiny-llama {OnHost}"),
        GoldenCase.InBothForms("load/as-f32", $"load {{tmp}}/mixed.safetensors --dtype f32 --repeat 2 {OnHost}"),
        GoldenCase.InBothForms(
            "load/mapped", $"load {{samples}}/tiny-llama --read mapped --repeat 1 {OnHost}", $"load {{tmp}}/mixed.safetensors --read mapped --dtype f32 {OnHost}"),
        new("load/verbose", $"load {{tmp}}/tied.safetensors --verbose {OnHost}"),
        GoldenCase.InBothForms("load/meta", "load {tmp}/enormous.safetensors --device meta --lanes 1"),
        GoldenCase.InBothForms(
            "load/check-finite",
            $"load {{tmp}}/mixed.safetensors --check-finite {OnHost}",
            $"load {{tmp}}/values.safetensors --check-finite {OnHost}",
            $"load {{tmp}}/nan.gguf --dtype f16 --check-finite {OnHost}"),
        new(
            "load/manifest",
            "hash {tmp}/left.safetensors --write {tmp}/manifest.json",
            $"load {{tmp}}/left.safetensors --verify {{tmp}}/manifest.json {OnHost}",
            $"load {{tmp}}/left.safetensors --verify {{tmp}}/manifest.json {OnHost} --json",
            $"load {{tmp}}/changed.safetensors --verify {{tmp}}/manifest.json {OnHost}",
            $"load {{tmp}}/right.safetensors --verify {{tmp}}/manifest.json {OnHost}",
            $"load {{tmp}}/right.safetensors --verify {{tmp}}/manifest.json {OnHost} --json"),
    ];

    private static IEnumerable<GoldenCase> OfConvert() =>
    [
        .. new GoldenCase[]
        {
            new(
                "convert/file",
                "convert {tmp}/mixed.safetensors {tmp}/a.safetensors --device host",
                "convert {tmp}/mixed.safetensors {tmp}/b.safetensors --dtype bf16 --device host --json",
                "hash {tmp}/b.safetensors"),
            new(
                "convert/folder",
                "convert {samples}/tiny-llama {tmp}/out --dtype f32 --max-shard-size 300KB --device host",
                "convert {samples}/tiny-llama {tmp}/out --dtype f32 --max-shard-size 300KB --device host --force --json",
                "ls {tmp}/out"),
            new(
                "convert/ties",
                "convert {tmp}/tied.safetensors {tmp}/a.safetensors --device host",
                "convert {tmp}/tied.safetensors {tmp}/b.safetensors --duplicate-ties --device host --json",
                "inspect {tmp}/a.safetensors",
                "inspect {tmp}/b.safetensors"),
            new(
                "convert/gguf",
                "convert {tmp}/blocks.gguf {tmp}/kept.gguf --device host",
                "hash {tmp}/blocks.gguf {tmp}/kept.gguf",
                "hash {tmp}/blocks.gguf --values f32 --device host",
                "convert {tmp}/blocks.gguf {tmp}/f32.gguf --dtype f32 --device host --json",
                "hash {tmp}/f32.gguf",
                "convert {tmp}/blocks.gguf {tmp}/f32.safetensors --dtype f32 --device host",
                "hash {tmp}/f32.safetensors",
                "inspect {tmp}/f32.safetensors",
                "convert {tmp}/blocks.gguf {tmp}/parts --format gguf --max-shard-size 36 --device host",
                "ls {tmp}/parts"),
            new(
                "convert/gguf-of-ties",
                "convert {tmp}/tied.safetensors {tmp}/out --format gguf --device host --json",
                "ls {tmp}/out"),
            new(
                "convert/torch",
                "convert {tmp}/tied.safetensors {tmp}/a.pt --device host",
                "convert {tmp}/blocks.gguf {tmp}/blocks.pth --device host",
                "convert {tmp}/tied.safetensors {tmp}/out --format pt --max-shard-size 8 --device host --json",
                "ls {tmp}/out"),
            new(
                "convert/rank",
                "convert {samples}/tiny-llama {tmp}/a.safetensors --tp 2 --rank 1 --device host",
                "convert {samples}/tiny-llama {tmp}/b.safetensors --tp 2 --rank 0 --device host --json",
                "convert {tmp}/mixed.safetensors {tmp}/c.safetensors --tp 2 --rank 0 --device host"),
            new(
                "convert/model",
                "convert {samples}/tiny-llama {tmp}/a --model --tp 2 --rank 1",
                "convert {samples}/tiny-llama {tmp}/b.safetensors --model --json",
                "inspect {tmp}/a",
                "ls {tmp}/a"),
            new("convert/warnings", "convert {tmp}/fp8 {tmp}/a --dtype bf16 --device host", "convert {tmp}/fp8 {tmp}/b --include none --device host"),
        }.Select(golden => golden with { Rules = [Scrubbing.Lanes] }),
    ];

    private static IEnumerable<GoldenCase> OfOthers() =>
    [
        new(
            "shard/ranks",
            $"shard {{samples}}/tiny-llama {{tmp}}/ranks --tp 2 --max-size 100KB {OnHost}",
            "ls {tmp}/ranks",
            $"load {{tmp}}/ranks --sharded --rank 1 {OnHost}",
            $"load {{tmp}}/ranks --sharded --rank 1 --model {OnHost} --json",
            $"load {{tmp}}/ranks --sharded --rank 2 {OnHost}",
            $"load {{tmp}}/ranks --sharded --rank 0 --tp 4 {OnHost}",
            $"load {{tmp}}/ranks --sharded --rank 0 --tp 4 --model --reshard {OnHost}",
            "verify {tmp}/ranks",
            "inspect {tmp}/ranks"),
        new("shard/one-rank", $"shard {{samples}}/tiny-llama {{tmp}}/ranks --tp 2 --rank 1 {OnHost}", $"shard {{samples}}/tiny-llama {{tmp}}/ranks --tp 2 --rank 0 {OnHost}"),
        new(
            "synth/llama",
            "synth llama {tmp}/a --layers 1 --hidden 16 --heads 2 --kv-heads 1 --vocab 32 --shards 2",
            "synth llama {tmp}/empty --layers 1 --hidden 16 --heads 2 --kv-heads 1 --vocab 32 --tied --dtype f32 --json",
            "ls {tmp}/a",
            "cat {tmp}/empty/config.json",
            "hash {tmp}/empty"),
        GoldenCase.InBothForms("devices/list", "devices") with { Rules = Scrubbing.Devices },
        GoldenCase.InBothForms("completions/unknown-shell", "completions cmd"),
    ];
}
