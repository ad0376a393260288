namespace IlgpuLoader.Harness;

/// <summary>Everything that is measured, in the order in which it is.</summary>
internal static class AllScenarios
{
    /// <summary>The scenarios.</summary>
    public static IReadOnlyList<IScenario> List { get; } =
    [
        new OpenScenario(),
        new LoadScenario(),
        new GgufScenario(),
        new TorchScenario(),
        new NumpyScenario(),
        new ZeroCopyScenario(),
        new ColdScenario(),
        new SmallTensorsScenario(),
        new HugeScenario(),
        new SliceScenario(),
        new ModelScenario(),
        new ShardedScenario(),
        new CappedScenario(),
        new VerifyScenario(),
        new GpuScenario(),
        new ConvertScenario(),
        new RemoteScenario(),
        new ServeScenario(),
        new TuningScenario(),
    ];
}
