namespace IlgpuLoader.Gpu;

/// <summary>
/// Receives the body of a codec as a type argument (<see cref="Codec.Accept"/>), to compile something over it: the host's
/// loop, a device kernel.
/// </summary>
/// <typeparam name="TResult">What the visit yields.</typeparam>
public interface IUnitVisitor<out TResult>
{
    /// <summary>Called once, with the codec's body.</summary>
    TResult Visit<TDecoder>()
        where TDecoder : struct, IUnitDecoder;
}
