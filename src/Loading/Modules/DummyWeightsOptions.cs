namespace IlgpuLoader.Loading;

/// <summary>Choices for made-up weights. Read when they are made.</summary>
public sealed class DummyWeightsOptions
{
    /// <summary>The least value. Default: -0.001; values this small give no NaN in a forward pass, as vLLM found.</summary>
    public float Low { get; set; } = -1e-3f;

    /// <summary>The bound above. Default: 0.001.</summary>
    public float High { get; set; } = 1e-3f;

    /// <summary>The seed of all parameters. Default: 1234, as vLLM's.</summary>
    public ulong Seed { get; set; } = 1234;
}
