//! Shamir's sharing of a secret (CACM 22, 1979), byte by byte over GF(2^8) with the polynomial of AES (FIPS 197
//! section 4.2). Any `threshold` shares give the secret; fewer say nothing of it. No tables: what is secret is never an
//! index.

use zeroize::Zeroizing;

use crate::HsmSoftError;

/// Bytes of a secret: an AES-256 key.
pub(crate) const SECRET: usize = 32;

/// One point of the polynomials.
pub(crate) struct Share {
    /// Not zero, and no two alike.
    pub(crate) x: u8,
    pub(crate) y: Zeroizing<[u8; SECRET]>,
}

/// Splits `secret` into `shares`, of which `threshold` are needed. The caller has checked both numbers.
pub(crate) fn split(secret: &[u8; SECRET], shares: u8, threshold: u8) -> Result<Vec<Share>, HsmSoftError> {
    // Sized beforehand: a vector that grows leaves its old elements behind.
    let mut coefficients = Vec::with_capacity(usize::from(threshold));
    coefficients.push(Zeroizing::new(*secret));
    for _ in 1..threshold {
        let mut random = Zeroizing::new([0; SECRET]);
        paycrypto::random::fill(&mut *random).map_err(|e| HsmSoftError::Random(e.to_string()))?;
        coefficients.push(random);
    }
    Ok((1..=shares).map(|x| Share { x, y: evaluate(&coefficients, x) }).collect())
}

/// The polynomials at `x`, by Horner's rule; the first coefficient is the secret.
fn evaluate(coefficients: &[Zeroizing<[u8; SECRET]>], x: u8) -> Zeroizing<[u8; SECRET]> {
    let mut y = Zeroizing::new([0; SECRET]);
    for coefficient in coefficients.iter().rev() {
        y.iter_mut().zip(coefficient.iter()).for_each(|(y, c)| *y = multiply(*y, x) ^ c);
    }
    y
}

/// The polynomials at zero, from exactly as many shares as are needed, all of different `x`.
pub(crate) fn combine(shares: &[Share]) -> Zeroizing<[u8; SECRET]> {
    let mut secret = Zeroizing::new([0; SECRET]);
    for (index, share) in shares.iter().enumerate() {
        let others = shares.iter().enumerate().filter(|(other, _)| *other != index);
        let weight = others
            .fold(1, |weight, (_, other)| multiply(weight, multiply(other.x, invert(other.x ^ share.x))));
        secret.iter_mut().zip(share.y.iter()).for_each(|(to, y)| *to ^= multiply(weight, *y));
    }
    secret
}

fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= a & 0u8.wrapping_sub((b >> bit) & 1);
        a = (a << 1) ^ (0x1B & 0u8.wrapping_sub(a >> 7));
    }
    product
}

/// The inverse, a^254; of zero, zero.
fn invert(a: u8) -> u8 {
    let mut power = a;
    for _ in 0..6 {
        power = multiply(multiply(power, power), a);
    }
    multiply(power, power)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197 sections 4.2 and 4.2.1: {57}·{83} = {c1}, {57}·{13} = {fe}.
    #[test]
    fn multiplies_as_fips_197_does() {
        assert_eq!(multiply(0x57, 0x83), 0xC1);
        assert_eq!(multiply(0x57, 0x13), 0xFE);
        // FIPS 197 section 5.1.1: the inverse in the S-box of {53} is {ca}.
        assert_eq!(invert(0x53), 0xCA);
    }

    #[test]
    fn every_element_times_its_inverse_is_one() {
        for a in 1..=255 {
            assert_eq!(multiply(a, invert(a)), 1, "{a}");
        }
        assert_eq!(invert(0), 0);
    }

    /// Worked by hand over f(x) = 0x2A + 0x07·x + 0x11·x²: f(1) = 0x3C, f(2) = 0x2A ^ 0x0E ^ 0x44 = 0x60,
    /// f(3) = 0x2A ^ 0x09 ^ 0x55 = 0x76.
    #[test]
    fn a_worked_polynomial_gives_its_shares_and_its_secret() {
        let coefficients = [0x2A, 0x07, 0x11].map(|c| Zeroizing::new([c; SECRET]));
        let shares: Vec<_> =
            [1, 2, 3].map(|x| Share { x, y: evaluate(&coefficients, x) }).into_iter().collect();
        assert_eq!(shares.iter().map(|share| share.y[0]).collect::<Vec<_>>(), [0x3C, 0x60, 0x76]);
        assert_eq!(*combine(&shares), [0x2A; SECRET]);
    }

    #[test]
    fn any_three_of_five_give_the_secret_and_two_do_not() {
        let secret = std::array::from_fn(|index| u8::try_from(index * 7 % 251).unwrap());
        let all = split(&secret, 5, 3).unwrap();
        let pick = |numbers: &[usize]| {
            let shares: Vec<_> =
                numbers.iter().map(|n| Share { x: all[*n].x, y: all[*n].y.clone() }).collect();
            *combine(&shares)
        };
        for a in 0..5 {
            for b in 0..5 {
                for c in 0..5 {
                    if a != b && b != c && a != c {
                        assert_eq!(pick(&[a, b, c]), secret, "{a} {b} {c}");
                    }
                }
                if a != b {
                    assert_ne!(pick(&[a, b]), secret);
                }
            }
        }
    }

    /// With one share of a 2-of-n sharing, each value of the secret has exactly one polynomial: nothing is learnt.
    #[test]
    fn one_share_fewer_leaves_every_secret_possible() {
        for x in [1, 2, 255] {
            let mut seen = [false; 256];
            for slope in 0..=255 {
                let secret = 0x5A ^ multiply(slope, x); // the share's y is 0x5A
                assert!(!std::mem::replace(&mut seen[usize::from(secret)], true));
            }
        }
    }
}
