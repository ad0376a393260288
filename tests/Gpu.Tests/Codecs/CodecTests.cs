using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

[Trait("Area", "Codecs")]
public sealed class CodecTests
{
    [Fact]
    public void The_table_has_one_codec_a_type_and_finds_each()
    {
        Assert.All(Codecs.All, codec =>
        {
            Assert.Same(codec, Codecs.Of(codec.DType));
        });
        Assert.Equal(Codecs.All.Length, Codecs.All.Select(codec => codec.DType).Distinct().Count());
        Assert.Equal(DType.All.Order(), Codecs.All.Select(codec => codec.DType).Order());
        Assert.Throws<ArgumentOutOfRangeException>(() => Codecs.Of((DType)999));
        Assert.Throws<ArgumentOutOfRangeException>(() => Codecs.Of((DType)(-1)));
    }

    [Fact]
    public void Every_codec_decodes_to_the_eight_float_types_and_to_nothing_else()
    {
        Assert.All(Codecs.All, codec => Assert.Equal(
            [DType.F8_E5M2, DType.F8_E4M3, DType.F8_E4M3FNUZ, DType.F8_E5M2FNUZ, DType.F16, DType.BF16, DType.F32, DType.F64],
            DType.All.Where(codec.CanDecodeTo).Order()));
    }

    [Theory]
    [InlineData(DType.C32, DType.F16)]
    [InlineData(DType.C64, DType.F32)]
    [InlineData(DType.C128, DType.F64)]
    public void Complex_types_decode_as_pairs_of_their_component(DType complex, DType component)
    {
        var patterns = HardValues.Mixed(component, 2 * 37);
        var stored = Packed.Bytes(patterns, component.BlockSize);
        Assert.Equal(2, Packed.CodecOf(complex).ValuesPerElement);
        foreach (var target in VectorPath.Targets)
        {
            Assert.Equal(Packed.Decode(patterns, component, target), Packed.Decode(patterns, complex, target));
        }

        // Half a pair is no element.
        Assert.Throws<ArgumentException>(() =>
            Packed.CodecOf(complex).Decode(stored.AsSpan(component.BlockSize), new byte[2 * 8 * 37], DType.F64));
    }

    [Fact]
    public void A_destination_of_the_wrong_length_is_refused_with_both_lengths()
    {
        var codec = Packed.CodecOf(DType.F16);
        foreach (var length in new[] { 11, 13, 0, 16 })
        {
            var error = Assert.Throws<ArgumentException>(() => codec.Decode(new byte[6], new byte[length], DType.F32));
            Assert.Contains("12 bytes", error.Message, StringComparison.Ordinal);
            Assert.Contains($"has {length}.", error.Message, StringComparison.Ordinal);
            Assert.Throws<ArgumentException>(() => codec.DecodeScalar(new byte[6], new byte[length], DType.F32));
        }
    }

    [Fact]
    public void A_source_that_ends_inside_an_element_is_refused()
    {
        var error = Assert.Throws<ArgumentException>(() => Packed.CodecOf(DType.I32).Decode(new byte[7], new byte[4], DType.F32));
        Assert.Contains("7 bytes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_target_that_is_not_a_float_is_refused() =>
        Assert.Throws<ArgumentException>(() => Packed.CodecOf(DType.F16).Decode(new byte[2], new byte[4], DType.I32));

    [Fact]
    public void Overlapping_spans_are_refused_unless_nothing_changes()
    {
        var bytes = Packed.Bytes(HardValues.Mixed(DType.F32, 100), 4);
        var before = bytes.ToArray();
        var codec = Packed.CodecOf(DType.F32);
        Assert.Throws<ArgumentException>(() => codec.Decode(bytes.AsSpan(0, 80), bytes.AsSpan(40, 40), DType.F16));

        foreach (var bypassCache in new[] { false, true })
        {
            before.CopyTo(bytes, 0);
            codec.Decode(bytes.AsSpan(0, 360), bytes.AsSpan(12, 360), DType.F32, bypassCache);
            Assert.Equal(before[..360], bytes[12..372]);
        }
    }

    [Fact]
    public void Nothing_decodes_to_nothing()
    {
        foreach (var codec in Codecs.All)
        {
            codec.Decode([], [], DType.F32);
            codec.DecodeScalar([], [], DType.F64);
        }
    }

    [Fact]
    public void A_visitor_receives_the_body_whose_block_holds_the_elements()
    {
        foreach (var codec in Codecs.All)
        {
            var (blockBytes, units) = codec.Accept(new BlockVisitor());
            Assert.Equal(Unit.Length * units * codec.DType.BlockSize / codec.ValuesPerElement / codec.DType.BlockLength, blockBytes);
        }
    }

    [Fact]
    public void Any_bytes_of_any_type_decode_alike_by_every_way()
    {
        var cases = from codec in Gen.Elements<Codec>(Codecs.All)
                    from target in Gen.Elements(VectorPath.Targets)
                    from count in Gen.Choose(0, 150)
                    from bytes in Gen.ArrayOf(ArbMap.Default.GeneratorFor<byte>(), count * codec.DType.BlockSize)
                    select (codec, target, bytes);
        Prop.ForAll(cases.ToArbitrary(), decoding =>
        {
            var (codec, target, bytes) = decoding;
            var count = bytes.Length / codec.DType.BlockSize * codec.DType.BlockLength * codec.ValuesPerElement;
            var scalar = new byte[count * target.BlockSize];
            var fast = new byte[scalar.Length];
            var streamed = new byte[scalar.Length];
            codec.DecodeScalar(bytes, scalar, target);
            codec.Decode(bytes, fast, target);
            codec.Decode(bytes, streamed, target, bypassCache: true);
            return scalar.AsSpan().SequenceEqual(fast) && scalar.AsSpan().SequenceEqual(streamed);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Narrowing_what_was_widened_gives_the_same_number_back()
    {
        Prop.ForAll(Gen.Elements(DType.F16, DType.BF16).ToArbitrary(), Gen.Choose(0, 0xFFFF).ToArbitrary(), (dtype, bits) =>
        {
            var stored = (ulong)bits;
            var quiet = Arithmetic.IsNaN(stored, Arithmetic.FormatOf(dtype)) ? Arithmetic.FormatOf(dtype).Quiet : 0;
            var wide = Packed.Decode([stored], dtype, DType.F32);
            return Packed.Decode(wide, DType.F32, dtype)[0] == (stored | quiet);
        }).QuickCheckThrowOnFailure();
    }

    private sealed class BlockVisitor : IUnitVisitor<(int BlockBytes, int Units)>
    {
        public (int BlockBytes, int Units) Visit<TDecoder>()
            where TDecoder : struct, IUnitDecoder =>
            (TDecoder.BlockBytes, 1 << TDecoder.UnitsPerBlockShift);
    }
}
