using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A quantised weight as a checkpoint has it, and the values that it stands for, computed in doubles.</summary>
internal sealed class StoredPart : IDisposable
{
    private StoredPart(int outputs, int inputs, Func<int, int, double> value) => (Outputs, Inputs, Value) = (outputs, inputs, value);

    public int Outputs { get; }

    public int Inputs { get; }

    /// <summary>The value of an output and an input, before it is rounded.</summary>
    public Func<int, int, double> Value { get; }

    public OrderedDictionary<string, Tensor> Tensors { get; } = new(StringComparer.Ordinal);

    /// <summary>Floats of 8 bits with a scale for each block; F32.</summary>
    public static StoredPart Fp8Blocks(Random random, int outputs, int inputs, int blockOutputs, int blockInputs, string scaleName = "weight_scale_inv")
    {
        var codes = Codes(random, outputs * inputs);
        var grid = (inputs + blockInputs - 1) / blockInputs;
        var scales = Scales(random, (outputs + blockOutputs - 1) / blockOutputs * grid);
        var part = new StoredPart(outputs, inputs, (o, i) => Float8(codes[(o * inputs) + i]) * scales[(o / blockOutputs * grid) + (i / blockInputs)]);
        part.Tensors.Add("weight", Tensor.FromValues<byte>(DType.F8_E4M3, new Shape(outputs, inputs), codes));
        part.Tensors.Add(scaleName, Tensor.FromValues<float>(DType.F32, new Shape(scales.Length / grid, grid), scales));
        return part;
    }

    /// <summary>Floats of 8 bits with one scale, in no dimension, and a scale of activations.</summary>
    public static StoredPart Fp8(Random random, int outputs, int inputs)
    {
        var codes = Codes(random, outputs * inputs);
        var scale = Scales(random, 1)[0];
        var part = new StoredPart(outputs, inputs, (o, i) => Float8(codes[(o * inputs) + i]) * scale);
        part.Tensors.Add("weight", Tensor.FromValues<byte>(DType.F8_E4M3, new Shape(outputs, inputs), codes));
        part.Tensors.Add("weight_scale", Tensor.FromValues<float>(DType.F32, new Shape(), [scale]));
        part.Tensors.Add("input_scale", Tensor.FromValues<float>(DType.F32, new Shape(), [0.5F]));
        return part;
    }

    /// <summary>8-bit integers with a BF16 scale for each so many inputs of an output, and zero points where they are asked for.</summary>
    public static StoredPart Int8(Random random, int outputs, int inputs, bool hasZeros, int? group = null)
    {
        var size = group ?? inputs;
        var grid = inputs / size;
        var numbers = new sbyte[outputs * inputs];
        random.NextBytes(MemoryMarshal.AsBytes(numbers.AsSpan()));
        var zeros = new sbyte[outputs * grid];
        random.NextBytes(MemoryMarshal.AsBytes(zeros.AsSpan()));
        var scales = Enumerable.Range(0, outputs * grid).Select(_ => (ushort)random.Next(0x3C00, 0x3F80)).ToArray();
        var part = new StoredPart(outputs, inputs, (o, i) =>
            (numbers[(o * inputs) + i] - (hasZeros ? zeros[(o * grid) + (i / size)] : 0)) * (double)BitConverter.Int32BitsToSingle(scales[(o * grid) + (i / size)] << 16));
        part.Tensors.Add("weight", Tensor.FromValues<sbyte>(DType.I8, new Shape(outputs, inputs), numbers));
        part.Tensors.Add("weight_scale", Tensor.FromValues<ushort>(DType.BF16, new Shape(outputs, grid), scales));
        if (hasZeros)
        {
            part.Tensors.Add("weight_zero_point", Tensor.FromValues<sbyte>(DType.I8, new Shape(outputs, grid), zeros));
        }

        return part;
    }

    /// <summary>GPTQ's numbers with F16 scales.</summary>
    /// <param name="random">What they are.</param>
    /// <param name="bits">4 or 8.</param>
    /// <param name="outputs">The outputs.</param>
    /// <param name="inputs">The inputs.</param>
    /// <param name="groupSize">The inputs of a group.</param>
    /// <param name="offset">1, or 0 in version 2.</param>
    /// <param name="order">The groups of inputs; null for their order.</param>
    /// <param name="writesOrder">Whether there is a g_idx.</param>
    public static StoredPart Gptq(Random random, int bits, int outputs, int inputs, int groupSize, int offset, int[]? order, bool writesOrder = true)
    {
        order ??= [.. Enumerable.Range(0, inputs).Select(i => i / groupSize)];
        var groups = (inputs + groupSize - 1) / groupSize;
        var numbers = Enumerable.Range(0, outputs * inputs).Select(_ => random.Next(1 << bits)).ToArray();
        var zeros = Enumerable.Range(0, groups * outputs).Select(_ => random.Next(1 << bits)).ToArray();
        var scales = Enumerable.Range(0, groups * outputs).Select(_ => (Half)(0.001 + (random.NextDouble() / 16))).ToArray();
        var perWord = 32 / bits;
        var words = new uint[inputs / perWord * outputs];
        for (var o = 0; o < outputs; o++)
        {
            for (var i = 0; i < inputs; i++)
            {
                words[(i / perWord * outputs) + o] |= (uint)numbers[(o * inputs) + i] << (i % perWord * bits);
            }
        }

        var zeroWords = (outputs + perWord - 1) / perWord;
        var packedZeros = new uint[groups * zeroWords];
        for (var g = 0; g < groups; g++)
        {
            for (var o = 0; o < outputs; o++)
            {
                packedZeros[(g * zeroWords) + (o / perWord)] |= (uint)zeros[(g * outputs) + o] << (o % perWord * bits);
            }
        }

        var part = new StoredPart(outputs, inputs, (o, i) =>
            (numbers[(o * inputs) + i] - (zeros[(order[i] * outputs) + o] + offset)) * (double)scales[(order[i] * outputs) + o]);
        part.Tensors.Add("qweight", Tensor.FromValues<uint>(DType.I32, new Shape(inputs / perWord, outputs), words));
        part.Tensors.Add("qzeros", Tensor.FromValues<uint>(DType.I32, new Shape(groups, zeroWords), packedZeros));
        part.Tensors.Add("scales", Tensor.FromValues<Half>(DType.F16, new Shape(groups, outputs), scales));
        if (writesOrder)
        {
            part.Tensors.Add("g_idx", Tensor.FromValues<int>(DType.I32, new Shape(inputs), order));
        }

        return part;
    }

    /// <summary>A BF16 that was rounded from a double by way of F32.</summary>
    public static ushort Brain(double value)
    {
        var single = (double)(float)value;
        if (single == 0)
        {
            return (ushort)(double.IsNegative(single) ? 0x8000 : 0);
        }

        var unit = Math.ScaleB(1, Math.Max(Math.ILogB(single), -126) - 7);
        return (ushort)(BitConverter.SingleToInt32Bits((float)(Math.Round(single / unit, MidpointRounding.ToEven) * unit)) >> 16);
    }

    /// <summary>F8_E4M3.</summary>
    public static double Float8(byte code)
    {
        var (exponent, mantissa) = ((code >> 3) & 15, code & 7);
        var magnitude = exponent == 0 ? Math.ScaleB(mantissa, -9) : Math.ScaleB(8 + mantissa, exponent - 10);
        return code < 0x80 ? magnitude : -magnitude;
    }

    public void Dispose()
    {
        foreach (var tensor in Tensors.Values)
        {
            tensor.Dispose();
        }
    }

    // No NaN.
    private static byte[] Codes(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (byte)((random.Next(2) << 7) | random.Next(0x7F)))];

    private static float[] Scales(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (float)(0.0001 + (random.NextDouble() / 100)))];
}
