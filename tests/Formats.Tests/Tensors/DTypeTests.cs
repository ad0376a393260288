using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>The table of types against formats.md 1.4 and 2.4, written out here; a wrong size would read every tensor wrongly.</summary>
public sealed class DTypeTests
{
    // Name, elements and bytes of the smallest group that fills whole bytes. In declaration order.
    private static readonly (string Name, int Elements, int Bytes)[] Table =
    [
        ("BOOL", 1, 1), ("F4", 2, 1), ("F6_E2M3", 4, 3), ("F6_E3M2", 4, 3), ("U8", 1, 1), ("I8", 1, 1), ("F8_E5M2", 1, 1),
        ("F8_E4M3", 1, 1), ("F8_E8M0", 1, 1), ("F8_E4M3FNUZ", 1, 1), ("F8_E5M2FNUZ", 1, 1), ("I16", 1, 2), ("U16", 1, 2),
        ("F16", 1, 2), ("BF16", 1, 2), ("I32", 1, 4), ("U32", 1, 4), ("F32", 1, 4), ("C64", 1, 8), ("F64", 1, 8), ("I64", 1, 8),
        ("U64", 1, 8), ("C32", 1, 4), ("C128", 1, 16), ("Q4_0", 32, 18), ("Q4_1", 32, 20), ("Q5_0", 32, 22), ("Q5_1", 32, 24),
        ("Q8_0", 32, 34), ("Q8_1", 32, 36), ("Q2_K", 256, 84), ("Q3_K", 256, 110), ("Q4_K", 256, 144), ("Q5_K", 256, 176),
        ("Q6_K", 256, 210), ("Q8_K", 256, 292), ("IQ2_XXS", 256, 66), ("IQ2_XS", 256, 74), ("IQ3_XXS", 256, 98), ("IQ1_S", 256, 50),
        ("IQ4_NL", 32, 18), ("IQ3_S", 256, 110), ("IQ2_S", 256, 82), ("IQ4_XS", 256, 136), ("IQ1_M", 256, 56), ("TQ1_0", 256, 54),
        ("TQ2_0", 256, 66), ("MXFP4", 32, 17), ("NVFP4", 64, 36), ("Q1_0", 128, 18), ("Q2_0", 64, 18),
    ];

    public static TheoryData<string, int, int> Rows
    {
        get
        {
            var rows = new TheoryData<string, int, int>();
            foreach (var (name, elements, bytes) in Table)
            {
                rows.Add(name, elements, bytes);
            }

            return rows;
        }
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void Type_OfTheTable_HasNameGroupAndSize(string name, int elements, int bytes)
    {
        Assert.True(DType.TryFromName(name, out var dtype));
        Assert.Equal(name, dtype.ToString());
        Assert.Equal(name, dtype.Name);
        Assert.Equal(elements, dtype.BlockLength);
        Assert.Equal(bytes, dtype.BlockSize);
        Assert.Equal(0, dtype.ByteCount(0));
        Assert.Equal(bytes, dtype.ByteCount(elements));
        Assert.Equal(1000L * bytes, dtype.ByteCount(1000L * elements));
        Assert.True(dtype.FillsBytes(3L * elements));
    }

    [Fact]
    public void All_IsTheTable_InDeclarationOrder() =>
        Assert.Equal(Table.Select(row => row.Name), DType.All.Select(dtype => dtype.Name));

    [Fact]
    public void SafetensorsTypes_AreTheFirst22_InTheReferencesOrder()
    {
        Assert.Equal(SafetensorsTypes.InEnumOrder, DType.All.Where(dtype => dtype.IsSafetensors).Select(dtype => dtype.Name));
        Assert.Equal(SafetensorsTypes.InEnumOrder, Enumerable.Range(0, 22).Select(i => ((DType)i).Name));
        foreach (var (name, bits) in SafetensorsTypes.Bits)
        {
            Assert.True(DType.TryFromName(name, out var dtype));
            Assert.Equal(bits * dtype.BlockLength, dtype.BlockSize * 8L);
        }
    }

    [Fact]
    public void Kinds_SplitTheTypes_AsTheirNamesSay()
    {
        Assert.Equal(["BOOL"], OfKind(DTypeKind.Boolean));
        Assert.Equal(["U8", "I8", "I16", "U16", "I32", "U32", "I64", "U64"], OfKind(DTypeKind.Integer));
        Assert.Equal(["C64", "C32", "C128"], OfKind(DTypeKind.Complex));
        Assert.Equal(
            ["F4", "F6_E2M3", "F6_E3M2", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F16", "BF16", "F32", "F64"],
            OfKind(DTypeKind.Float));
        Assert.Equal(Table.Skip(24).Select(row => row.Name), OfKind(DTypeKind.Block));
        Assert.Equal(OfKind(DTypeKind.Block), DType.All.Where(dtype => dtype.IsBlock).Select(dtype => dtype.Name));
        Assert.Equal(["F4", "F6_E2M3", "F6_E3M2"], DType.All.Where(dtype => dtype.IsSubByte).Select(dtype => dtype.Name));

        static IEnumerable<string> OfKind(DTypeKind kind) => DType.All.Where(dtype => dtype.Kind == kind).Select(dtype => dtype.Name);
    }

    [Theory]
    [InlineData(DType.U8, long.MaxValue, long.MaxValue)]
    [InlineData(DType.F16, long.MaxValue / 2, long.MaxValue - 1)]
    [InlineData(DType.F4, long.MaxValue - 1, long.MaxValue / 2)]
    [InlineData(DType.F6_E2M3, long.MaxValue - 3, (long.MaxValue / 4) * 3)]
    [InlineData(DType.F64, (1L << 60) - 1, long.MaxValue - 7)]
    public void ByteCount_JustBelowTheLargestSize_IsExact(DType dtype, long elements, long expected) =>
        Assert.Equal(expected, dtype.ByteCount(elements));

    [Theory]
    [InlineData(DType.F16, 1L << 62)]
    [InlineData(DType.F64, 1L << 60)]
    [InlineData(DType.C128, long.MaxValue)]
    [InlineData(DType.Q8_0, long.MaxValue - 31)]
    [InlineData(DType.Q8_K, long.MaxValue - 255)]
    public void ByteCount_BeyondTheLargestSize_Overflows(DType dtype, long elements) =>
        Assert.Throws<OverflowException>(() => dtype.ByteCount(elements));

    [Theory]
    [InlineData(DType.F4, 1)]
    [InlineData(DType.F4, long.MaxValue)]
    [InlineData(DType.F6_E2M3, 2)]
    [InlineData(DType.F6_E3M2, 5)]
    [InlineData(DType.Q4_0, 31)]
    [InlineData(DType.Q4_K, 32)]
    [InlineData(DType.NVFP4, 96)]
    public void ByteCount_OfBrokenGroups_IsRefusedWithTheGroup(DType dtype, long elements)
    {
        Assert.False(dtype.FillsBytes(elements));
        var exception = Assert.Throws<ArgumentException>(nameof(elements), () => dtype.ByteCount(elements));
        Assert.Contains($"{elements} elements of {dtype}", exception.Message, StringComparison.Ordinal);
        Assert.Contains($"groups of {dtype.BlockLength}", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ByteCount_Negative_IsRefused() =>
        Assert.Throws<ArgumentOutOfRangeException>("elements", () => DType.F32.ByteCount(-1));

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("f32")]
    [InlineData("F32 ")]
    [InlineData("17")]
    [InlineData("F8_E4M3FN")]
    [InlineData("Q4_2")]
    public void TryFromName_OfNoType_IsFalse(string? name)
    {
        Assert.False(DType.TryFromName(name, out var dtype));
        Assert.Equal(default, dtype);
    }
}
