using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using IlgpuLoader.Microbenchmarks;

// dotnet run -c Release --project perf/Microbenchmarks -- --rounds [ROUNDS [MIB [PAIR]]]   (PAIR: F16-F32, 'Q*-F32')
// dotnet run -c Release --project perf/Microbenchmarks -- --filter '*Conversion*' | '*Checkpoint*'
// dotnet run -c Release --project perf/Microbenchmarks -- --allocations [--update]
if (args is ["--rounds", ..])
{
    ConversionRounds.Run(
        Console.Out,
        args.Length > 1 ? int.Parse(args[1]) : 15,
        (args.Length > 2 ? long.Parse(args[2]) : ConversionCase.OutputBytes >> 20) << 20,
        args.Length > 3 ? args[3] : null);
    return 0;
}

if (args is ["--allocations", ..])
{
    return await AllocationCheck.RunAsync(Console.Out, update: args is [_, "--update"]);
}

// In this process: BenchmarkDotNet's generated projects would not take the versions pinned here.
var config = DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance));
BenchmarkSwitcher.FromAssembly(typeof(ConversionBenchmarks).Assembly).Run(args, config);
return 0;
