using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>A complex type: twice as many values of its component's codec.</summary>
internal sealed unsafe class ComplexCodec(DType dtype, Codec component) : Codec(dtype)
{
    public override int ValuesPerElement => 2;

    internal override DType ValueType => component.DType;

    public override TResult Accept<TResult>(IUnitVisitor<TResult> visitor) => component.Accept(visitor);

    internal override void DecodeUnits(byte* source, byte* destination, long count, DType target) =>
        component.DecodeUnits(source, destination, count, target);

    internal override void DecodeFast(byte* source, byte* destination, long count, DType target, bool bypassCache) =>
        component.DecodeFast(source, destination, count, target, bypassCache);
}
