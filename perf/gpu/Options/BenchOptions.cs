using System.Globalization;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>What is checked and measured, on which device, and with how much data.</summary>
internal sealed record BenchOptions
{
    public const string Usage =
        """
        usage: gpu-bench [options]
          --device ID        cuda:N (default cuda:0), opencl:N, host, or simulator (ILGPU's CPU accelerator)
          --quick            2 GiB and 1 GiB of checkpoints, 3 rounds, smaller kernels
          --check-only       no figures
          --figures-only     no checks
          --gib N            size of the bf16 checkpoint (20), less where the machine has not the room
          --gguf-gib N       size of the Q4_K checkpoint as stored (8)
          --as-asked         both sizes even where there seems to be no room: for machines whose memory grows as it is used
          --kernel-mib N     output of a kernel to F32 (1024)
          --rounds N         repeats of each figure (5)
          --minutes N        what is not begun by then is left out, and the report says so (9)
          --data FOLDER      where checkpoints are written; a folder in it, removed at the end (the temporary folder)
          --out FILE         the report (results.md)
          --golden FOLDER    the golden archives; without it their loads are not checked
          --samples FOLDER   the sample checkpoints; likewise
          --sample FILE      the sample application; likewise
          --python FILE      a Python with torch and safetensors (python3); none: not compared
          --peers FILE       peers.py; without it PyTorch is not measured
          --allow-no-generic-addresses
                             opens OpenCL devices without the generic address space (PoCL), for trying
        """;

    public string Device { get; private init; } = "cuda:0";

    public bool Checks { get; private init; } = true;

    public bool MeasuresFigures { get; private init; } = true;

    public double Gibibytes { get; private init; } = 20;

    public double GgufGibibytes { get; private init; } = 8;

    public bool TakesSizesAsAsked { get; private init; }

    public long KernelBytes { get; private init; } = 1L << 30;

    public int Rounds { get; private init; } = 5;

    public double Minutes { get; private init; } = 9;

    public string DataFolder { get; private init; } = Path.GetTempPath();

    public string OutputPath { get; private init; } = "results.md";

    public string? GoldenFolder { get; private init; }

    public string? SamplesFolder { get; private init; }

    public string? SampleApplication { get; private init; }

    public string Python { get; private init; } = "python3";

    public string? PeersScript { get; private init; }

    public bool AllowsNoGenericAddresses { get; private init; }

    /// <summary>The options as they were given, for the report.</summary>
    public string CommandLine { get; private init; } = "";

    /// <summary>Reads a command line.</summary>
    /// <exception cref="FormatException">An option is not known, or its value is not one.</exception>
    public static BenchOptions Parse(string[] args)
    {
        var options = new BenchOptions { CommandLine = string.Join(' ', args) };
        if (args.Contains("--quick"))
        {
            options = options with { Gibibytes = 2, GgufGibibytes = 1, KernelBytes = 256L << 20, Rounds = 3 };
        }

        for (var i = 0; i < args.Length; i++)
        {
            options = args[i] switch
            {
                "--quick" => options,
                "--check-only" => options with { MeasuresFigures = false },
                "--figures-only" => options with { Checks = false },
                "--as-asked" => options with { TakesSizesAsAsked = true },
                "--allow-no-generic-addresses" => options with { AllowsNoGenericAddresses = true },
                "--device" => options with { Device = Value(ref i) },
                "--gib" => options with { Gibibytes = Number(ref i) },
                "--gguf-gib" => options with { GgufGibibytes = Number(ref i) },
                "--kernel-mib" => options with { KernelBytes = (long)(Number(ref i) * (1L << 20)) },
                "--rounds" => options with { Rounds = Math.Max(1, (int)Number(ref i)) },
                "--minutes" => options with { Minutes = Number(ref i) },
                "--data" => options with { DataFolder = Value(ref i) },
                "--out" => options with { OutputPath = Value(ref i) },
                "--golden" => options with { GoldenFolder = Value(ref i) },
                "--samples" => options with { SamplesFolder = Value(ref i) },
                "--sample" => options with { SampleApplication = Value(ref i) },
                "--python" => options with { Python = Value(ref i) },
                "--peers" => options with { PeersScript = Value(ref i) },
                var other => throw new FormatException($"There is no option {other}."),
            };
        }

        return options;

        string Value(ref int i) => ++i < args.Length ? args[i] : throw new FormatException($"{args[i - 1]} takes a value.");

        double Number(ref int i) => double.TryParse(Value(ref i), CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw new FormatException($"{args[i - 1]} takes a number above 0, not '{args[i]}'.");
    }
}
