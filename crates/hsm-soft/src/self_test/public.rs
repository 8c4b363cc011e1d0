//! Known answers of the public-key algorithms.

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use paycrypto::{
    ec::{AgreementKey, PublicPoint, SigningKey, VerifyingKey, hpke},
    rsa::{PrivateKey, PublicKey},
};

use super::{KnownAnswer, unhex};

pub(super) const TESTS: &[KnownAnswer] = &[
    KnownAnswer { name: "RSA-OAEP", answer: oaep, known: "73656C662D74657374" },
    KnownAnswer { name: "RSA signature, PKCS #1", answer: pkcs1, known: PKCS1 },
    KnownAnswer { name: "RSA signature, PSS", answer: pss, known: GOOD },
    KnownAnswer { name: "RSA signature with recovery", answer: recovery, known: RECOVERY },
    KnownAnswer { name: "ECDH P-256", answer: ecdh, known: SHARED },
    KnownAnswer { name: "ECDSA P-256", answer: ecdsa, known: GOOD },
    KnownAnswer { name: "HPKE", answer: hpke_opens, known: HPKE_PLAINTEXT },
];

/// What a verification that held gives.
const GOOD: &str = "01";

/// What is encrypted and signed.
const MESSAGE: &[u8] = b"self-test";

/// The key of `rsa_test_key` in `vectors/tdes-suite.json`. It protects nothing.
const RSA_KEY: &[u8] = include_bytes!("rsa_test_key.p8");

fn key() -> Option<PrivateKey> {
    PrivateKey::from_pkcs8(RSA_KEY).ok()
}

/// Made with OpenSSL 3: `pkeyutl -encrypt`, OAEP, SHA-256.
const OAEP: &str = "\
    8C21689B50E663EF43A97033230FDF85BC9FA2E9A045A9FC8ED8E28A1009318697D706BBD0E95013307F034793F79B14\
    93ED76366BE533CFE93A422FA313F2ABB1FBFB7698882A007B40A406FF81CE3C89FB5A15476630911C6E941369C0FA9E\
    04AE9FE95D791F8B96BDB3E62A5DD02D0322853169714458B990059E0286FD11412FEB457E79430AC87B8EDFDD672065\
    DB0B865C28F95438AB8E6BFC1E44F94665133E738FD5E6790D2358A3F38F4AF12C79FFA3AFC707569EFB297D4A8154D6\
    4A959EB788875817494B3E0510C09B41399060FBC3AFEF1BF6939999FDFAB341A7491DB2879824A9CB190254FFD23469\
    185CD21FD44B9CDBC2DD004955F481D8";

fn oaep() -> Option<Vec<u8>> {
    let (key, ciphertext) = (key()?, unhex(OAEP)?);
    let mut changed = ciphertext.clone();
    *changed.last_mut()? ^= 1;
    let opened = key.oaep_decrypt(&ciphertext).ok()?;
    let own = PublicKey::from_spki(key.spki_der()).ok()?.oaep_encrypt(MESSAGE).ok()?;
    let own_opens = *key.oaep_decrypt(&own).ok()? == *MESSAGE;
    (key.oaep_decrypt(&changed).is_err() && own_opens).then(|| opened.to_vec())
}

/// Made with OpenSSL 3: `dgst -sha256 -sign`.
const PKCS1: &str = "\
    6D2700DEA6CA20B9E17AEE278FBA03E82D80411334F775BE67CF07ADB17695B6B6F8F2ECC440B82DB24280C8DF65FDD5\
    D384BF6638387632D2D09C87180F4005DCE2D68800F260F6DAD35019CDD6A47BC08269B22237FA3D13F82CCBF828A016\
    8427E9D019E9F9CE4FFDBF3F25BD3A2A39344AE44FC358A1CA59BD5FDC28EC2D6C0FEEA1753FE22CE6EDE7D8DB15A930\
    97A7079CE9E9167BAA5C76405130292B9A553CE56FC1780300A13890EE9DC83DB2F75525B05D921096EAD617BED256D5\
    AE22C8D1DC0F81F521B834809F0A1081672FED2377D1E422056878F6422FD6C2FE9B05DCED50EAEE33C6462C1FD47D75\
    209C2A8621D544FE3E8E016D2F931406";

fn pkcs1() -> Option<Vec<u8>> {
    let (key, signature) = (key()?, unhex(PKCS1)?);
    let verifies = verifies(&RSA_PKCS1_2048_8192_SHA256, &key, &signature)?;
    verifies.then(|| key.sign_pkcs1_sha256(MESSAGE).ok())?
}

/// Made with OpenSSL 3: `dgst -sha256 -sign` with PSS and a salt of 32 bytes.
const PSS: &str = "\
    3EC7D4F2BEF546446A9BA9AE36694D4DC3F83A4A06CED93D71C9BD65576C00DEB927C5FB9A2EAB07A2F6E5A337453D0C\
    9E0D3BEDB7F21BFF56FF4BD9AE6069E4B1B980904CAC6CBE1329A6B0573A3649AC81E5F5B6207E00597A9453C22D3957\
    99201F02F0D7F23F482B9688CFE38D4BB58F8215C4293316E8E168F37EF9C9346000266710DEE560F79C8EFFB89417F7\
    26E2466F74F98D0E0CDB55DB80E930FF6739939A063809270FD15BB8D7B620522B42CE9B21439609D9B483F8CA7ECE49\
    87503B954EF6D48356CE799E4CA7B006134F84056FD8F987336C5C146FA138454861484598510A0322FB0BBADD6C5DBB\
    F80DF760EF13ECDA983EEA64C5202D53";

fn pss() -> Option<Vec<u8>> {
    let (key, known) = (key()?, unhex(PSS)?);
    let own = key.sign_pss_sha256(MESSAGE).ok()?;
    let both = verifies(&RSA_PSS_2048_8192_SHA256, &key, &known)?
        && verifies(&RSA_PSS_2048_8192_SHA256, &key, &own)?;
    Some(vec![u8::from(both)])
}

/// Whether a signature of [`MESSAGE`] is good, and is not once a bit of it was changed.
fn verifies(how: &'static dyn VerificationAlgorithm, key: &PrivateKey, signature: &[u8]) -> Option<bool> {
    let public = UnparsedPublicKey::new(how, key.spki_der());
    let mut changed = signature.to_vec();
    *changed.last_mut()? ^= 1;
    Some(public.verify(MESSAGE, signature).is_ok() && public.verify(MESSAGE, &changed).is_err())
}

/// Made with OpenSSL 3: `pkeyutl -sign`, PKCS #1 padding, no digest.
const RECOVERY: &str = "\
    717B5E5322987EC832393ACB15729F7CF13DBE76B3D8429B6983B9CCEA78D917D69F8C4DEDCE83B2A1F7B05B5F0F113F\
    5E132C8536065349067E29500D18E4EDE1A9ED148CDC8962E1E73148F6F36A9F3A957497F89E2F9DD7FF2EBA5914E172\
    677EA0BDF9947E2F3F81ADCB592A23B7ADFD5A8BDD2A3A643105636AAF1EB3804E694DE2DCA33B1D6282BD39AC66BD36\
    3D8C0DA273873070F6ACBFFC93673CB4EAF4AD38EEC98FA9CCE43CCA1CC0E4BF4756E443A56EE2E5602C3B060F6D787F\
    FB5B88F3479EF844A7DF381C5812D3DAE32BBBC43A1F2DD7DE437943E2E24E9F2421EC03F2E8D32AB77E890A2B771F3F\
    77EFEAAB93EA9EF128CE97D522C1BB65";

fn recovery() -> Option<Vec<u8>> {
    let key = key()?;
    let public = PublicKey::from_spki(key.spki_der()).ok()?;
    let mut signature = key.type1_sign(MESSAGE).ok()?;
    let recovered = public.type1_recover(&signature).ok()?;
    let made = signature.clone();
    *signature.last_mut()? ^= 1;
    (recovered == MESSAGE && public.type1_recover(&signature).is_err()).then_some(made)
}

/// NIST CAVP, ECC CDH primitive (SP 800-56A section 5.7.1.2), P-256, count 0: ZIUT.
const SHARED: &str = "46FC62106420FF012E54A434FBDD2D25CCC5852060561E68040DD7778997BD7B";

fn ecdh() -> Option<Vec<u8>> {
    const OURS: &str = "7D7DC5F71EB29DDAF80D6214632EEAE03D9058AF1FB6D22ED80BADB62BC1A534";
    const THEIRS: &str = "04\
        700C48F77F56584C5CC632CA65640DB91B6BACCE3A4DF6B42CE7CC838833D287\
        DB71E509E3FD9B060DDB20BA5C51DCC5948D46FBF640DFE0441782CAB85FA4AC";
    let ours = AgreementKey::from_scalar(&unhex(OURS)?.try_into().ok()?).ok()?;
    let mut theirs = unhex(THEIRS)?;
    let z = ours.agree(&PublicPoint::from_bytes(&theirs).ok()?).ok()?;
    *theirs.last_mut()? ^= 1;
    PublicPoint::from_bytes(&theirs).is_err().then(|| z.expose().to_vec())
}

/// RFC 6979 appendix A.2.5, SHA-256, message "sample"; and a signature of our own with that key.
fn ecdsa() -> Option<Vec<u8>> {
    const KEY: &str = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";
    const SIGNATURE: &str = "\
        EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716\
        F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8";
    let key = SigningKey::from_scalar(&unhex(KEY)?.try_into().ok()?).ok()?;
    let public = VerifyingKey::from_spki(&key.spki_der()).ok()?;
    let signature = unhex(SIGNATURE)?;
    let own = key.sign(b"sample").ok()?;
    let holds = public.verifies(b"sample", &signature)
        && !public.verifies(b"Sample", &signature)
        && public.verifies(b"sample", &own);
    Some(vec![u8::from(holds)])
}

/// `vectors/external/hpke_rfc9180.json`, which names its origin: the plaintext of the first message.
const HPKE_PLAINTEXT: &str = "4265617574792069732074727574682C20747275746820626561757479";

fn hpke_opens() -> Option<Vec<u8>> {
    const RECIPIENT: &str = "317F915DB7BC629C48FE765587897E01E282D3E8445F79F27F65D031A88082B2";
    const INFO: &str = "4F6465206F6E2061204772656369616E2055726E";
    const SEALED: &str = "\
        04C06B4F6BEBC7BB495CB797AB753F911AFF80AEFB86FD8B6FCC35525F3AB5F03E\
        0B21BD31A86C6048AF3CB2D98E0D3BF01DA5CC4C39FF5370D331A4F1F7D5A4E0\
        58C61A45059D0C5704560E9D88B564A8B63F1364B8D1FCB3C4C6DDC1D291742465E902CD216F8908DA49F8F96F";
    let recipient = AgreementKey::from_scalar(&unhex(RECIPIENT)?.try_into().ok()?).ok()?;
    let (info, sealed) = (unhex(INFO)?, unhex(SEALED)?);
    let opened = hpke::open(&recipient, &info, b"Count-0", &sealed).ok()?;
    hpke::open(&recipient, &info, b"Count-1", &sealed).is_err().then(|| opened.to_vec())
}
