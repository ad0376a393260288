using System.Text;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ConfigDTypeTests
{
    [Theory]
    [InlineData("""{"torch_dtype":"bfloat16"}""", """{"torch_dtype":"float32"}""")]
    [InlineData("""{ "dtype" :  "float16" , "x": [1, {"dtype": "bfloat16"}] }""", """{ "dtype" :  "float32" , "x": [1, {"dtype": "float32"}] }""")]
    [InlineData("""{"text_config":{"torch_dtype":"bfloat16"},"vision_config":{"dtype":"float64"}}""", """{"text_config":{"torch_dtype":"float32"},"vision_config":{"dtype":"float32"}}""")]
    [InlineData("""{"torch_dtype":"bfloat16","torch_dtype":"float16"}""", """{"torch_dtype":"float32","torch_dtype":"float32"}""")]
    [InlineData("""{"quantization_config":{"dtype":"bfloat16"},"dtype":"bfloat16"}""", """{"quantization_config":{"dtype":"bfloat16"},"dtype":"float32"}""")]
    [InlineData("""{"torch_dtype":"auto","dtype":null,"name":"\ud800","\ud800":1}""", """{"torch_dtype":"auto","dtype":null,"name":"\ud800","\ud800":1}""")]
    [InlineData("""{"dtype":"bfloat16" broken""", """{"dtype":"bfloat16" broken""")]
    [InlineData("", "")]
    public void Only_the_names_of_floats_change(string config, string expected)
    {
        Assert.Equal(expected, Encoding.UTF8.GetString(ConfigDType.Replace(Encoding.UTF8.GetBytes(config), DType.F32)));
        // A byte-order mark is not JSON, but editors on Windows write it.
        Assert.Equal("\uFEFF" + expected, Encoding.UTF8.GetString(ConfigDType.Replace(Encoding.UTF8.GetBytes("\uFEFF" + config), DType.F32)));
    }

    [Theory]
    [InlineData(DType.F16, "float16")]
    [InlineData(DType.BF16, "bfloat16")]
    [InlineData(DType.F64, "float64")]
    [InlineData(DType.F8_E4M3, "float32")]
    public void Each_dtype_has_its_name_and_8_bit_floats_change_nothing(DType dtype, string expected) =>
        Assert.Equal(
            $"{{\"dtype\":\"{expected}\"}}", Encoding.UTF8.GetString(ConfigDType.Replace("""{"dtype":"float32"}"""u8.ToArray(), dtype)));
}
