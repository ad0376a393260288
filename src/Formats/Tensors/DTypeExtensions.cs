using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>Sizes, kinds and names of <see cref="DType"/>. Immutable and safe for any thread.</summary>
public static class DTypeExtensions
{
    private readonly record struct Row(DTypeKind Kind, int BlockLength, int BlockSize);

    private static readonly string[] Names = Enum.GetNames<DType>();
    private static readonly Row[] Rows = BuildRows();

    extension(DType dtype)
    {
        /// <summary>Whether the values are floats, integers, complex pairs, or quantised blocks.</summary>
        public DTypeKind Kind => Rows[(int)dtype].Kind;

        /// <summary>
        /// Elements in the smallest group that fills whole bytes: 1 for types of 8 bits and more, 2 for
        /// <see cref="DType.F4"/>, 4 for the 6-bit floats, the block's length for ggml types.
        /// </summary>
        public int BlockLength => Rows[(int)dtype].BlockLength;

        /// <summary>Bytes of one group of <see cref="get_BlockLength"/> elements.</summary>
        public int BlockSize => Rows[(int)dtype].BlockSize;

        /// <summary>Whether this is a ggml block type, whose rows consist of whole blocks.</summary>
        public bool IsBlock => Rows[(int)dtype].Kind == DTypeKind.Block;

        /// <summary>
        /// Whether the values are floats, stored as such or quantised in blocks: the types that a dtype asked for applies to.
        /// </summary>
        public bool HoldsFloats => Rows[(int)dtype].Kind is DTypeKind.Float or DTypeKind.Block;

        /// <summary>Whether elements are smaller than a byte but not grouped into blocks (F4, F6).</summary>
        public bool IsSubByte => Rows[(int)dtype] is { BlockLength: > 1, Kind: DTypeKind.Float };

        /// <summary>Whether this is one of the 22 types a safetensors header may name.</summary>
        public bool IsSafetensors => dtype is >= DType.BOOL and <= DType.U64;

        /// <summary>The spelling used in headers, messages and on the command line, such as <c>BF16</c> or <c>Q4_K</c>.</summary>
        public string Name => Names[(int)dtype];

        /// <summary>Whether <paramref name="elements"/> elements fill whole bytes (F4, F6) or whole blocks (ggml types).</summary>
        public bool FillsBytes(long elements) => elements % Rows[(int)dtype].BlockLength == 0;

        /// <summary>The size of <paramref name="elements"/> elements in bytes.</summary>
        /// <exception cref="OverflowException">The size does not fit a <see cref="long"/>.</exception>
        /// <exception cref="ArgumentException">The elements do not fill whole bytes or blocks.</exception>
        public long ByteCount(long elements)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(elements);
            var row = Rows[(int)dtype];
            var (groups, rest) = Math.DivRem(elements, row.BlockLength);
            if (rest != 0)
            {
                throw new ArgumentException(
                    $"{elements} elements of {dtype.Name} do not fill whole groups of {row.BlockLength}.", nameof(elements));
            }

            return checked(groups * row.BlockSize);
        }

        /// <summary>Finds a type by its exact, case-sensitive name.</summary>
        public static bool TryFromName(string? name, out DType result)
        {
            var index = Array.IndexOf(Names, name);
            result = index >= 0 ? (DType)index : default;
            return index >= 0;
        }

        /// <summary>All types, in declaration order.</summary>
        public static ImmutableArray<DType> All => Every.Type;
    }

    private static Row[] BuildRows()
    {
        var rows = new Row[Names.Length];
        for (var dtype = default(DType); (int)dtype < rows.Length; dtype++)
        {
            // safetensors: formats.md 1.4. ggml blocks: ggml-common.h's block structs.
            rows[(int)dtype] = dtype switch
            {
                DType.BOOL => new(DTypeKind.Boolean, 1, 1),
                DType.F4 => new(DTypeKind.Float, 2, 1),
                DType.F6_E2M3 or DType.F6_E3M2 => new(DTypeKind.Float, 4, 3),
                DType.U8 or DType.I8 => new(DTypeKind.Integer, 1, 1),
                DType.F8_E5M2 or DType.F8_E4M3 or DType.F8_E8M0 or DType.F8_E4M3FNUZ or DType.F8_E5M2FNUZ =>
                    new(DTypeKind.Float, 1, 1),
                DType.I16 or DType.U16 => new(DTypeKind.Integer, 1, 2),
                DType.F16 or DType.BF16 => new(DTypeKind.Float, 1, 2),
                DType.I32 or DType.U32 => new(DTypeKind.Integer, 1, 4),
                DType.F32 => new(DTypeKind.Float, 1, 4),
                DType.F64 => new(DTypeKind.Float, 1, 8),
                DType.I64 or DType.U64 => new(DTypeKind.Integer, 1, 8),
                DType.C32 => new(DTypeKind.Complex, 1, 4),
                DType.C64 => new(DTypeKind.Complex, 1, 8),
                DType.C128 => new(DTypeKind.Complex, 1, 16),
                DType.Q4_0 or DType.IQ4_NL => new(DTypeKind.Block, 32, 18),
                DType.Q4_1 => new(DTypeKind.Block, 32, 20),
                DType.Q5_0 => new(DTypeKind.Block, 32, 22),
                DType.Q5_1 => new(DTypeKind.Block, 32, 24),
                DType.Q8_0 => new(DTypeKind.Block, 32, 34),
                DType.Q8_1 => new(DTypeKind.Block, 32, 36),
                DType.Q2_K => new(DTypeKind.Block, 256, 84),
                DType.Q3_K or DType.IQ3_S => new(DTypeKind.Block, 256, 110),
                DType.Q4_K => new(DTypeKind.Block, 256, 144),
                DType.Q5_K => new(DTypeKind.Block, 256, 176),
                DType.Q6_K => new(DTypeKind.Block, 256, 210),
                DType.Q8_K => new(DTypeKind.Block, 256, 292),
                DType.IQ2_XXS or DType.TQ2_0 => new(DTypeKind.Block, 256, 66),
                DType.IQ2_XS => new(DTypeKind.Block, 256, 74),
                DType.IQ3_XXS => new(DTypeKind.Block, 256, 98),
                DType.IQ1_S => new(DTypeKind.Block, 256, 50),
                DType.IQ2_S => new(DTypeKind.Block, 256, 82),
                DType.IQ4_XS => new(DTypeKind.Block, 256, 136),
                DType.IQ1_M => new(DTypeKind.Block, 256, 56),
                DType.TQ1_0 => new(DTypeKind.Block, 256, 54),
                DType.MXFP4 => new(DTypeKind.Block, 32, 17),
                DType.NVFP4 => new(DTypeKind.Block, 64, 36),
                DType.Q1_0 => new(DTypeKind.Block, 128, 18),
                DType.Q2_0 => new(DTypeKind.Block, 64, 18),
                _ => throw new InvalidOperationException($"{dtype} has no row in the table of types."),
            };
        }

        return rows;
    }

    // Made when it is first asked for, which opening a checkpoint does not do.
    private static class Every
    {
        public static readonly ImmutableArray<DType> Type = [.. Enum.GetValues<DType>()];
    }
}
