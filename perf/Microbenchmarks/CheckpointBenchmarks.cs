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

    [GlobalSetup]
    public async Task SetUp()
    {
        _folder = new CheckpointFolder();
        _cases = await CheckpointCases.CreateAsync(_folder);
    }

    [GlobalCleanup]
    public async Task CleanUp()
    {
        if (_cases is not null)
        {
            await _cases.DisposeAsync();
        }

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
