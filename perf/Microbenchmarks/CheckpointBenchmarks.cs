using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Microbenchmarks;

/// <summary>Times and allocations of what is done to checkpoints (<see cref="CheckpointCases"/>); the budgets are checked by <c>--allocations</c>.</summary>
[MemoryDiagnoser]
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "GlobalCleanup disposes them.")]
public class CheckpointBenchmarks
{
    private CheckpointFolder? _folder;
    private CheckpointCases? _cases;

    private CheckpointCases Cases => _cases ?? throw new InvalidOperationException("The benchmark was not set up.");

    // Not async: what BenchmarkDotNet emits into this process does not wait for a task of these two.
    [GlobalSetup]
    public void SetUp()
    {
        _folder = new CheckpointFolder();
        _cases = CheckpointCases.CreateAsync(_folder).GetAwaiter().GetResult();
    }

    [GlobalCleanup]
    public void CleanUp()
    {
        _cases?.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _folder?.Dispose();
    }

    [Benchmark]
    public Task OpenSafetensors() => Cases.OpenSafetensorsAsync();

    [Benchmark]
    public Task OpenTorch() => Cases.OpenTorchAsync();

    [Benchmark]
    public Task OpenGgufVocabulary() => Cases.OpenVocabularyAsync();

    [Benchmark]
    public LoadPlan PlanManyTensors() => Cases.Plan();

    [Benchmark]
    public Task LoadSmallTensorsKeep() => Cases.LoadKeepAsync();

    [Benchmark]
    public Task LoadSmallTensorsF32() => Cases.LoadF32Async();
}
