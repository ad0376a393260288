namespace IlgpuLoader.Gpu;

/// <summary>A float of eight bits that is decoded: its rule on bits. What <see cref="IUnitDecoder"/> says about bodies holds here too.</summary>
public interface IFloat8
{
    /// <summary>The bits of the F32 that the low byte of <paramref name="stored"/> stands for.</summary>
    static abstract int ToSingle(int stored);
}
