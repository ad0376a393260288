using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Where a block's units go: 32 quants each, which are scaled in float32, narrowed to the target type and stored. Implemented
/// once a width, for all block types and all targets.
/// </summary>
internal interface IQuantOutput
{
    /// <summary>quant * scale, with a scale for each half of the unit.</summary>
    /// <param name="unit">Which unit of the block.</param>
    /// <param name="quants">The unit's quants in the order of its values.</param>
    /// <param name="lowerScale">The scale of the first 16.</param>
    /// <param name="upperScale">The scale of the last 16.</param>
    void Write(int unit, Vector256<sbyte> quants, float lowerScale, float upperScale);

    /// <summary>quant * scale minus a term, with a scale and a term for each half of the unit.</summary>
    /// <typeparam name="TTerm">Minus.</typeparam>
    void Write<TTerm>(int unit, Vector256<sbyte> quants, float lowerScale, float lowerTerm, float upperScale, float upperTerm)
        where TTerm : struct, ITerm;
}
